"""A damaged journal opens as far as it goes, or is refused in words; it never shows a wrong value and never hangs."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cards.errors import StoreError
from workbench.journal import Command, CommandRecord, Reader, RunDir, Writer
from workbench.journal.sqlite import connect

STEPS = 7000
places = st.integers(0, 2**40)  # in a file, modulo its length


def true(steps: np.ndarray) -> np.ndarray:
    return np.sin(steps * 0.7) * 100


def recorded(folder: Path, *, close: bool = True) -> RunDir:
    rundir = RunDir(folder)
    writer = Writer(rundir, {"seed": 5, "note": "x" * 50})
    for first in range(0, STEPS, 70):
        steps = np.arange(first, first + 70)
        writer.append(steps, steps, {"loss": true(steps), "other": -true(steps)})
        writer.append_array("vector", steps, steps, np.stack([true(steps), steps], axis=1))
        if first % 700 == 0:
            writer.event("note", {"at": first}, step=first)
            command = Command(first + 1, "set", {"values": {"x": first}}, None, "t", 0.0)
            writer.record_commands([CommandRecord.of(command, "applied", step=first, new={"x": first})])
            writer.checkpoint(first, f"checkpoints/{first}", first, "00", first)
            writer.append_text("words", first, 0.0, f"at {first}")
        writer.flush()
    if close:
        writer.close("finished")
    else:
        writer._slow.close()
        writer._fast.close()
    return rundir


@pytest.fixture(scope="module")
def original():
    with tempfile.TemporaryDirectory() as folder:
        yield recorded(Path(folder) / "run").journal


def check(rundir: RunDir, *, complete: bool = True) -> None:
    """Everything that is shown is true; and what is missing is named, if all of it was there once (`complete`)."""
    try:
        reader = Reader(rundir)
    except StoreError as refusal:
        words = str(refusal)
        assert str(rundir.path) in words
        return
    names = reader.names()
    assert set(names) <= {"loss", "other", "vector", "words"}
    seen = {}
    for name, sign in (("loss", 1), ("other", -1)):
        if name in names:
            points = reader.scalars(name)
            np.testing.assert_array_equal(points.values, sign * true(points.steps))
            assert np.all(np.diff(points.steps) > 0)
            seen[name] = len(points)
            for count in (5, 700):
                found = reader.buckets(name, np.linspace(0, STEPS, count + 1))
                want = sign * true(np.arange(STEPS))
                filled = found.count > 0
                assert np.all(np.isin(found.min[filled], want))
                assert np.all(np.isin(found.max[filled], want))
                assert np.all((found.mean[filled] >= found.min[filled]) & (found.mean[filled] <= found.max[filled]))
                assert found.count.sum() <= STEPS
    if "vector" in names:
        arrays = reader.arrays("vector")
        if len(arrays):
            np.testing.assert_array_equal(arrays.values, np.stack([true(arrays.steps), arrays.steps], axis=1))
        seen["vector"] = len(arrays)
    for event in reader.events(["note"]):
        assert event.payload == {"at": event.step}
    for record in reader.commands():
        assert (record.new, record.seq) == ({"x": record.step}, record.step + 1)
    for row in reader.checkpoints():
        assert row.path == f"checkpoints/{row.step}"
    if "words" in names:
        assert all(t.text == f"at {t.step}" for t in reader.texts("words"))
    assert reader.meta.get("seed", 5) == 5
    assert reader.meta.get("note", "x" * 50) == "x" * 50
    whole = seen == {"loss": STEPS, "other": STEPS, "vector": STEPS}
    assert whole or reader.damage or not complete


def test_the_whole_journal_passes_its_own_check(tmp_path, original):
    rundir = RunDir(tmp_path / "run")
    rundir.path.mkdir()
    shutil.copy(original, rundir.journal)
    check(rundir)
    assert Reader(rundir).damage == []
    assert len(Reader(rundir).scalars("loss")) == STEPS


@settings(max_examples=60)
@given(st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=4))
def test_flipped_bits_never_show_a_wrong_value(original, flips):
    blob = bytearray(original.read_bytes())
    for place, bit in flips:
        blob[place % len(blob)] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        rundir = RunDir(folder)
        rundir.journal.write_bytes(blob)
        check(rundir)


@settings(max_examples=40)
@given(places, st.integers(0, 20_000))
def test_a_truncated_or_overwritten_journal_never_shows_a_wrong_value(original, place, length):
    whole = original.read_bytes()
    at = place % len(whole)
    blob = whole[:at]
    if length:
        blob += np.random.default_rng(place).bytes(length) + whole[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        rundir = RunDir(folder)
        rundir.journal.write_bytes(blob)
        check(rundir)


@settings(max_examples=20)
@given(places, st.integers(0, 7) | st.none())
def test_a_damaged_write_ahead_log_shows_what_was_committed_before_the_damage(unsealed, place, bit):
    with tempfile.TemporaryDirectory() as folder:
        rundir = RunDir(Path(folder) / "run")
        shutil.copytree(unsealed.path, rundir.path, ignore=shutil.ignore_patterns("*-shm"))
        log = rundir.path / "journal.db-wal"
        blob = bytearray(log.read_bytes())
        if bit is None:
            del blob[place % len(blob) :]
        else:
            blob[place % len(blob)] ^= 1 << bit
        log.write_bytes(blob)
        check(rundir, complete=False)


@pytest.fixture(scope="module")
def unsealed():
    """A journal whose worker was killed: the log as it lay at some moment."""
    with tempfile.TemporaryDirectory() as folder:
        rundir = RunDir(Path(folder) / "run")
        writer = Writer(rundir, {"seed": 5})
        writer.set_state("running")
        for first in range(0, STEPS, 70):
            steps = np.arange(first, first + 70)
            writer.append(steps, steps, {"loss": true(steps)})
            writer.flush()
        copy = RunDir(Path(folder) / "copy")
        shutil.copytree(rundir.path, copy.path)
        writer.close()
        assert (copy.path / "journal.db-wal").stat().st_size > 100_000
        yield copy


def test_a_damaged_row_is_named_with_its_signal_and_steps(rundir):
    recorded(rundir.path)
    connection = connect(rundir.journal, mode="rw")
    first = "(SELECT min(id) FROM chunk_data)"
    connection.execute(f"UPDATE chunk_data SET data = zeroblob(length(data)) WHERE id = {first}")
    connection.execute("UPDATE event SET payload = '{\"at\": 1}' WHERE id = 3")
    connection.execute("DELETE FROM command WHERE id = 2")
    connection.execute("DELETE FROM chunk WHERE s0 = 4096 AND series = (SELECT id FROM series WHERE name = 'other')")
    connection.close()
    reader = Reader(rundir)
    for name in ("loss", "other", "vector"):
        reader.scalars(name) if name != "vector" else reader.arrays(name)
    said = "\n".join(reader.damage)
    assert "at steps 0 to 4,095 are damaged" in said
    assert "Row 3 of the table 'event'" in said
    assert "Rows 2 to 2 of the table 'command' are missing" in said
    assert "512 values of the signal 'other' before step 4,608 are missing" in said
    check(rundir)


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + b"\0" * 200, bytes(range(256)) * 64])
def test_a_file_that_is_no_journal_is_refused_or_empty(rundir, content):
    rundir.path.mkdir()
    rundir.journal.write_bytes(content)
    check(rundir, complete=False)


def test_a_run_that_is_removed_while_it_is_watched_says_so(rundir):
    recorded(rundir.path)
    reader = Reader(rundir)
    shutil.rmtree(rundir.path)
    with pytest.raises(StoreError, match="moved or removed"):
        reader.scalars("loss")
