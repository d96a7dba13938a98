"""What was written is what is read: now, later, after a resume, from another process."""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.cards.findings import Finding
from workbench.journal import Command, CommandRecord, Inbox, Reader, RunDir, RunLock, Writer

values = st.floats(allow_nan=True, allow_infinity=True, width=32)
blocks = st.lists(
    st.tuples(
        st.sampled_from(["append", "flush", "reopen", "resume", "look"]), st.integers(1, 1500), st.integers(0, 2**31)
    ),
    min_size=1,
    max_size=14,
)


def noisy(n: int, seed: int, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Random values with some NaN and infinities."""
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(n, *shape)) * 10.0 ** rng.integers(-3, 3)
    out[rng.random(out.shape) < 0.02] = rng.choice([np.nan, np.inf, -np.inf])
    return out


class Truth:
    """What the journal should hold: attempts of (steps, values); a later one replaces the range it covers."""

    def __init__(self) -> None:
        self.attempts: list[list[tuple[np.ndarray, np.ndarray]]] = [[]]

    def add(self, steps: np.ndarray, vals: np.ndarray) -> None:
        self.attempts[-1].append((steps, vals))

    def seen(self) -> tuple[np.ndarray, np.ndarray]:
        points: dict[int, np.ndarray] = {}
        for attempt in filter(None, self.attempts):
            steps = np.concatenate([s for s, _ in attempt])
            vals = np.concatenate([v for _, v in attempt])
            points = {s: v for s, v in points.items() if not steps[0] <= s <= steps[-1]}
            points.update(zip(steps.tolist(), vals, strict=True))
        order = sorted(points)
        return np.array(order, dtype=np.int64), np.array([points[s] for s in order])


def in_buckets(steps: np.ndarray, vals: np.ndarray, edges: np.ndarray):
    """Counts, means, extremes and counts of the non-finite, as slowly as it is plain: vals (n, k)."""
    for lo, hi in itertools.pairwise(edges):
        here = vals[(steps >= lo) & (steps < hi)]
        for column in here.T if len(here) else np.empty((vals.shape[1], 0)):
            good = column[np.isfinite(column)]
            found = (good.mean(), good.min(), good.max(), good[-1]) if len(good) else (np.nan,) * 4
            yield len(good), *found, len(column) - len(good)


@settings(max_examples=40)
@given(blocks, st.integers(1, 300))
def test_readers_see_exactly_what_was_appended_whatever_the_rhythm(plan, count):
    with tempfile.TemporaryDirectory() as folder:
        rundir = RunDir(folder)
        writer, reader = Writer(rundir, {}), Reader(rundir)
        scalar, vector, step, attempt = Truth(), Truth(), 0, 0
        for what, n, seed in [*plan, ("append", 10, 1), ("flush", 1, 1)]:
            if what == "append":
                steps = step + np.cumsum(np.random.default_rng(seed).integers(1, 3, size=n))
                vals, arrays = noisy(n, seed), noisy(n, seed, (3,)).astype(np.float32)
                writer.append(steps, steps / 7, {"loss": vals, "twice": 2 * vals})
                writer.append_array("vector", steps, steps / 7, arrays)
                scalar.add(steps, vals)
                vector.add(steps, arrays)
                step = int(steps[-1])
            elif what == "flush":
                writer.flush()
            elif what == "look":
                reader.refresh()
                if "loss" in reader.names():
                    reader.scalars("loss")
            else:
                writer.close()
                if what == "resume" and scalar.attempts[-1]:
                    attempt += 1
                    step = max(0, step - n)
                    scalar.attempts.append([])
                    vector.attempts.append([])
                writer = Writer(rundir, {}, attempt=attempt)
        writer.close()
        for each in (reader, Reader(rundir)):
            each.refresh()
            compare(each, scalar, vector, count)
            assert each.damage == []


def compare(reader: Reader, scalar: Truth, vector: Truth, count: int) -> None:
    steps, vals = scalar.seen()
    points = reader.scalars("loss")
    np.testing.assert_array_equal(points.steps, steps)
    np.testing.assert_array_equal(points.values, vals)
    np.testing.assert_array_equal(points.times, steps / 7)
    np.testing.assert_array_equal(reader.scalars("twice").values, 2 * vals)
    arrays = reader.arrays("vector")
    np.testing.assert_array_equal(arrays.values, vector.seen()[1])
    assert arrays.values.dtype == np.float32
    lo, hi = (int(q) for q in np.quantile(steps, [0.3, 0.6]))
    np.testing.assert_array_equal(reader.scalars("loss", lo, hi).steps, steps[(steps >= lo) & (steps <= hi)])
    at, array = reader.array_at("vector", hi)
    place = np.searchsorted(steps, hi, "right") - 1
    assert at == steps[place]
    np.testing.assert_array_equal(array, vector.seen()[1][place])
    assert reader.array_at("vector", int(steps[0]) - 1) is None
    for edges in (np.linspace(-3, steps[-1] + 3, count + 1), np.linspace(lo, hi + 0.5, 4)):
        for name, truth in (("loss", vals[:, None]), ("vector", vector.seen()[1].astype(np.float64))):
            found = reader.buckets(name, edges)
            fields = [found.count, found.mean, found.min, found.max, found.last, found.nonfinite]
            got = np.stack([f.reshape(count_of(edges), -1) for f in fields])
            want = np.array(list(in_buckets(steps, truth, edges))).reshape(count_of(edges), -1, 6).transpose(2, 0, 1)
            if found.exact:
                np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
            else:
                inside = truth[(steps >= edges[0]) & (steps < edges[-1])]
                assert got[0].sum() == np.isfinite(inside).sum()
                assert got[5].sum() == (~np.isfinite(inside)).sum()
                finite = np.where(np.isfinite(inside), inside, np.nan)
                np.testing.assert_array_equal(np.nanmin(got[2], axis=0), np.nanmin(finite, axis=0))
                np.testing.assert_array_equal(np.nanmax(got[3], axis=0), np.nanmax(finite, axis=0))
                # A block of 64 values may sit in the neighbouring bucket: running counts differ by no more than that.
                drift = np.abs(np.cumsum(got[0] + got[5], axis=0) - np.cumsum(want[0] + want[5], axis=0))
                assert drift.max() <= 64
            broken = steps[(~np.isfinite(truth)).any(axis=1) & (steps >= edges[0]) & (steps < edges[-1])]
            assert set(found.nonfinite_steps.tolist()) <= set(broken.tolist())
            assert bool(len(broken)) == bool(len(found.nonfinite_steps))


def count_of(edges: np.ndarray) -> int:
    return len(edges) - 1


def test_a_spike_and_a_nan_among_many_values_show_at_their_steps_in_wide_buckets(rundir):
    writer = Writer(rundir, {})
    vals = np.random.default_rng(0).normal(size=200_000)
    vals[123_456], vals[77_777] = 1e6, np.nan
    writer.append(np.arange(200_000), np.zeros(200_000), {"loss": vals})
    writer.close()
    found = Reader(rundir).buckets("loss", np.linspace(0, 200_000, 101))
    assert not found.exact
    assert np.nanmax(found.max) == 1e6
    assert found.max_step[np.nanargmax(found.max)] == 123_456
    assert found.nonfinite_steps.tolist() == [77_777]
    assert found.nonfinite.sum() == 1


def test_arrays_keep_shape_and_dtype_and_a_new_shape_begins_a_new_stretch(rundir):
    writer = Writer(rundir, {})
    writer.append_array("image", [0, 1], [0, 0], np.ones((2, 2, 3), np.uint8))
    writer.append_array("image", [2], [0], np.full((1, 4), 5, np.int32))
    writer.append_array("image", [2], [0], np.full((1, 2, 2), True))
    writer.close()
    reader = Reader(rundir)
    assert reader.names() == {"image": "array"}
    step, last = reader.array_at("image")
    assert (step, last.dtype, last.shape) == (2, np.bool_, (2, 2))
    step, first = reader.array_at("image", 1)
    assert (step, first.dtype, first.shape) == (1, np.uint8, (2, 3))
    assert len(reader.arrays("image", 0, 1)) == 2
    assert reader.extent("image") == (0, 2, 3)
    assert reader.damage == []


def test_the_last_value_given_for_a_step_wins(rundir):
    writer = Writer(rundir, {})
    writer.append([0, 1, 2], [0, 0, 0], {"loss": [1, 2, 3]})
    writer.append([2, 3], [0, 0], {"loss": [30, 4]})
    writer.flush()
    writer.append([3], [0], {"loss": [40]})
    writer.flush()
    assert Reader(rundir).scalars("loss").values.tolist() == [1, 2, 30, 40]
    with pytest.raises(InvalidValue, match="goes back from step 3 to step 1"):
        writer.append([1], [0], {"loss": [5], "other": [1]})
    with pytest.raises(InvalidValue, match="recorded as scalar"):
        writer.append_text("loss", 4, 0, "words")
    writer.close()
    assert Reader(rundir).names() == {"loss": "scalar"}


def test_texts_are_read_at_a_step(rundir):
    writer = Writer(rundir, {})
    writer.append_text("answer", 3, 1.0, "three ε")
    writer.append_text("answer", 9, 2.0, "nine")
    writer.flush()
    reader = Reader(rundir)
    assert reader.text_at("answer") == (9, "nine")
    assert reader.text_at("answer", 8) == (3, "three ε")
    assert reader.text_at("answer", 2) is None
    assert [t.step for t in reader.texts("answer")] == [3, 9]
    assert reader.last_step == 9
    writer.close()


def test_an_unknown_signal_is_named_with_the_nearest(rundir):
    writer = Writer(rundir, {})
    writer.append([0], [0], {"loss": [1]})
    writer.flush()
    with pytest.raises(UnknownName, match="Did you mean 'loss'"):
        Reader(rundir).scalars("los")
    writer.close()


def test_records_come_back_as_they_went(rundir):
    writer, inbox = Writer(rundir, {"seed": 3, "environment": {"python": "3.11"}}), Inbox(rundir)
    first, second = inbox.issue("set", {"values": {"epsilon": 0.2}}, at_step=5), inbox.issue("pause")
    command, _ = inbox.after(0)
    record = CommandRecord.of(command, "applied", step=5, old={"epsilon": 0.1}, new={"epsilon": 0.2})
    assert [r.id for r in writer.record_commands([record])] == [1]
    finding = Finding("spike", "Spike", 3, "It jumped.", evidence={"z": 9.5})
    writer.event("finding", finding.to_json(), step=3)
    writer.event("finding", {**finding.to_json(), "last": 8}, step=8)
    writer.event("note", {"text": "hello"})
    writer.checkpoint(5, "checkpoints/5-1.pt", 100, "ab", first, {"weights": 2})
    reader = Reader(rundir)
    assert reader.meta["seed"] == 3
    [got] = reader.commands()
    assert (got.seq, got.step, got.at_step, got.outcome) == (first, 5, 5, "applied")
    assert (got.old, got.new) == ({"epsilon": 0.1}, {"epsilon": 0.2})
    assert [c.seq for c in reader.pending()] == [second]
    assert [(f.key, f.last) for f in reader.findings()] == [(finding.key, 8)]
    assert [e.payload for e in reader.events(["note"])] == [{"text": "hello"}]
    assert reader.events(after=3) == []
    [row] = reader.checkpoints()
    assert (row.step, row.path, row.size, row.sha256) == (5, "checkpoints/5-1.pt", 100, "ab")
    assert (row.watermark, row.payload) == (first, {"weights": 2})
    writer.close()


def test_states_follow_the_worker_and_its_lock(rundir):
    reader = Reader(rundir)
    assert reader.state == "queued"
    lock = RunLock.acquire(rundir.lock)
    reader.refresh()
    assert reader.state == "starting"
    writer = Writer(rundir, {})
    writer.set_state("running")
    assert reader.refresh()
    assert reader.state == "running"
    assert not reader.refresh()
    lock.release()
    assert reader.refresh()
    assert reader.state == "lost"
    assert "without a word" in reader.message
    lock = RunLock.acquire(rundir.lock)
    writer.close("failed", "ValueError: no")
    lock.release()
    reader.refresh()
    assert (reader.state, reader.message) == ("failed", "ValueError: no")


FOLLOWER = """
import sys
from workbench.journal import Reader, RunDir
reader = Reader(RunDir(sys.argv[1]))
seen = 0
while reader.state != "finished":
    if reader.refresh() and "loss" in reader.names():
        points = reader.scalars("loss")
        assert points.steps.tolist() == list(range(len(points))), "a gap"
        assert (points.values == points.steps * 0.5).all(), "a wrong value"
        assert len(points) >= seen, "values went away"
        seen = len(points)
assert reader.damage == [], reader.damage
print(seen)
"""


def test_a_reader_in_another_process_follows_while_rows_are_rewritten_and_merged(rundir):
    lock = RunLock.acquire(rundir.lock)
    writer = Writer(rundir, {})
    with subprocess.Popen([sys.executable, "-c", FOLLOWER, rundir.path], stdout=subprocess.PIPE, text=True) as follower:
        for block in range(300):
            steps = np.arange(block * 37, block * 37 + 37)
            writer.append(steps, steps, {"loss": steps * 0.5})
            writer.flush()
            time.sleep(0.002)
        writer.close("finished")
        lock.release()
        out, _ = follower.communicate(timeout=60)
    assert out.strip() == str(300 * 37)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not write")
def test_somebody_without_the_right_to_write_can_read_a_finished_run():
    with tempfile.TemporaryDirectory() as folder:
        rundir = RunDir(Path(folder) / "run")
        writer = Writer(rundir, {})
        watcher = Reader(rundir)  # keeps the file in write-ahead mode
        writer.append([0, 1], [0, 0], {"loss": [1, 2]})
        writer.close("finished")
        watcher.close()
        for name in ("journal.db-wal", "journal.db-shm"):
            (rundir.path / name).unlink(missing_ok=True)
        Path(folder).chmod(0o755)
        rundir.path.chmod(0o555)
        child = os.fork()
        if not child:
            os.setuid(65534)
            good = Reader(rundir).scalars("loss").values.tolist() == [1, 2]
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_a_command_without_a_payload_is_a_command():
    record = CommandRecord.of(Command(1, "stop", {}, None, "cli", 0.0), "refused", reason="over")
    assert (record.outcome, record.reason, record.old) == ("refused", "over", {})
