"""The one writer: durable, patient with a full disk, sealed at the end."""

import os
import shutil
import sqlite3

import numpy as np
import pytest

from workbench.cards.errors import InvalidValue, NotAllowed, StoreError
from workbench.journal import CommandRecord, Inbox, Reader, RunDir, Writer
from workbench.journal.sqlite import connect, file_system


def fill(writer: Writer, first: int, last: int) -> None:
    steps = np.arange(first, last)
    writer.append(steps, steps, {"loss": steps * 0.5})


def ask(path, query: str):
    connection = connect(path, mode="ro")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_a_finished_journal_is_one_file_that_can_be_copied_away(rundir, tmp_path):
    writer = Writer(rundir, {})
    fill(writer, 0, 1000)
    writer.close("finished")
    assert not (rundir.path / "journal.db-wal").exists()
    copy = RunDir(tmp_path / "copy")
    copy.path.mkdir()
    shutil.copy(rundir.journal, copy.journal)
    reader = Reader(copy)
    assert (reader.state, reader.meta["sealed"]) == ("finished", True)
    assert len(reader.scalars("loss")) == 1000


def test_sealing_beside_an_idle_reader_leaves_everything_in_the_one_file(rundir, tmp_path):
    writer = Writer(rundir, {})
    reader = Reader(rundir)
    fill(writer, 0, 1000)
    writer.close("stopped")
    copy = RunDir(tmp_path / "copy")
    copy.path.mkdir()
    shutil.copy(rundir.journal, copy.journal)
    assert len(Reader(copy).scalars("loss")) == 1000
    reader.refresh()
    assert len(reader.scalars("loss")) == 1000


def test_a_sealed_journal_is_opened_again_and_watchers_see_what_follows(rundir):
    writer = Writer(rundir, {"seed": 4})
    fill(writer, 0, 1000)
    writer.close("stopped")
    reader = Reader(rundir)
    created = reader.meta["created"]
    assert reader.state == "stopped"
    writer = Writer(rundir, {}, attempt=1)
    fill(writer, 900, 1700)
    writer.flush()
    assert reader.refresh()
    assert (reader.meta["sealed"], reader.meta["attempt"], reader.meta["seed"]) == (False, 1, 4)
    assert reader.meta["created"] == created
    assert reader.scalars("loss").steps.tolist() == list(range(1700))
    writer.close("finished")
    reader.refresh()
    assert (reader.state, reader.meta["sealed"]) == ("finished", True)


def test_small_flushes_leave_few_rows_and_full_rows_carry_statistics(rundir):
    writer = Writer(rundir, {})
    for first in range(0, 9000, 50):
        fill(writer, first, first + 50)
        writer.flush()
    writer.close()
    rows = ask(rundir.journal, "SELECT n, stats IS NOT NULL FROM chunk ORDER BY s0")
    assert rows == [(4096, 1), (4096, 1), (512, 0), (296, 0)]
    assert ask(rundir.journal, "SELECT count(*) FROM chunk_data") == [(4,)]


def test_a_checkpoint_is_recorded_after_all_values_before_it(rundir):
    writer = Writer(rundir, {})
    fill(writer, 0, 90)
    assert writer.checkpoint(90, "checkpoints/90.pt", 1, "00", 0) == 1
    assert Reader(rundir).last_step == 89
    writer.close()


def limit(writer: Writer, more: int) -> None:
    """Let the journal grow by so many pages and no further, as a full disk would."""
    (pages,) = writer._fast.execute("PRAGMA page_count").fetchone()
    for connection in (writer._fast, writer._slow):
        connection.execute(f"PRAGMA max_page_count={pages + more}").fetchall()


def test_a_full_disk_stops_nothing_and_loses_nothing_once_there_is_room(rundir):
    writer = Writer(rundir, {})
    fill(writer, 0, 100)
    writer.flush()
    limit(writer, 0)
    fill(writer, 100, 6000)
    writer.flush()
    assert "the disk is full" in writer.problem
    assert str(rundir.path) in writer.problem
    fill(writer, 6000, 6100)
    with pytest.raises(StoreError, match="the disk is full"):
        writer.checkpoint(6100, "x", 1, "00", 0)
    with pytest.raises(StoreError, match="the disk is full"):
        writer.event("note", {"text": "x" * 100_000})
    reader = Reader(rundir)
    assert len(reader.scalars("loss")) == 100
    assert reader.checkpoints() == []
    limit(writer, 100_000)
    writer.flush()
    assert writer.problem is None
    reader.refresh()
    assert reader.scalars("loss").steps.tolist() == list(range(6100))
    writer.close()


def test_what_cannot_be_kept_for_ever_is_counted(rundir, monkeypatch):
    monkeypatch.setattr("workbench.journal.writer.KEPT", 1000)
    writer = Writer(rundir, {})
    limit(writer, 0)
    for first in range(0, 3000, 500):
        fill(writer, first, first + 500)
        writer.flush()
    assert writer.dropped == 2000
    assert "2,000 values could not be kept" in writer.problem
    limit(writer, 100_000)
    writer.close("finished")
    assert Reader(rundir).scalars("loss").steps.tolist() == list(range(2000, 3000))


def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="file"):
        Writer(RunDir(tmp_path / "file" / "run"), {})


def test_what_is_not_plain_data_is_refused_and_nothing_is_recorded(rundir):
    writer = Writer(rundir, {})
    with pytest.raises(InvalidValue, match="plain data"):
        writer.event("note", {"x": object()})
    with pytest.raises(InvalidValue, match="increase"):
        writer.append([3, 2], [0, 0], {"loss": [1, 2]})
    with pytest.raises(InvalidValue, match="shape"):
        writer.append([1, 2], [0, 0], {"good": [1, 2], "loss": [1]})
    with pytest.raises(InvalidValue, match="numbers and booleans"):
        writer.append_array("names", [1], [0], np.array([["a", "b"]]))
    Inbox(rundir).issue("pause")
    [command] = Inbox(rundir).after(0)
    with pytest.raises(InvalidValue, match="cannot end as 'done'"):
        writer.record_commands([CommandRecord.of(command, "applied"), CommandRecord.of(command, "done")])
    writer.close()
    reader = Reader(rundir)
    assert (reader.commands(), reader.events(["note"]), reader.names()) == ([], [], {})


def test_a_forked_child_cannot_write_and_leaves_the_parents_journal_whole(rundir):
    writer = Writer(rundir, {})
    fill(writer, 0, 100)
    writer.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            writer.flush()
        except NotAllowed:
            code = 0
        del writer
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    fill(writer, 100, 5000)
    writer.event("note", {"text": "after"})
    writer.close("finished")
    assert len(Reader(rundir).scalars("loss")) == 5000
    assert ask(rundir.journal, "PRAGMA integrity_check") == [("ok",)]


def test_where_write_ahead_logging_cannot_work_the_journal_does_without_and_says_so(rundir, monkeypatch):
    kind = file_system(rundir.path.parent)
    monkeypatch.setattr("workbench.journal.sqlite.NETWORK_FILE_SYSTEMS", frozenset({kind}))
    writer = Writer(rundir, {})
    reader = Reader(rundir)
    fill(writer, 0, 3000)
    writer.checkpoint(3000, "x", 1, "00", 0)
    [warning] = reader.events(["warning"])
    assert "network disk" in warning.payload["text"]
    assert ask(rundir.journal, "PRAGMA journal_mode") == [("delete",)]
    reader.refresh()
    assert len(reader.scalars("loss")) == 3000
    writer.close("finished")


def test_the_log_does_not_grow_without_end_while_it_is_read(rundir):
    writer, reader = Writer(rundir, {}), Reader(rundir)
    for first in range(0, 1_200_000, 20_000):
        fill(writer, first, first + 20_000)
        writer.flush()
        reader.refresh()
    assert (rundir.path / "journal.db-wal").stat().st_size < 12 << 20
    writer.close()


def test_sqlite_gives_back_the_types_that_were_put_in(rundir):
    """Checksums rely on it: 1.0 must not come back as 1."""
    Writer(rundir, {}).close()
    connection = sqlite3.connect(rundir.journal)
    connection.execute("INSERT INTO event VALUES (1, '7', 1.0, 2, NULL, 'x', 0)")
    assert connection.execute("SELECT kind, step, time, payload FROM event").fetchone() == ("7", 1.0, 2, None)
    assert isinstance(connection.execute("SELECT step FROM event").fetchone()[0], float)
    connection.close()
