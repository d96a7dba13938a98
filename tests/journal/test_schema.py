"""Older journals are brought up to date, newer ones refused in words."""

import json
import sqlite3

import pytest

from workbench.cards.errors import StoreError
from workbench.journal import Reader, Writer, schema
from workbench.journal.sqlite import checksum


@pytest.fixture
def older(rundir, monkeypatch):
    """A journal of version 0, whose events were plain lines, and the step from there to version 1."""

    def upgrade(connection: sqlite3.Connection) -> None:
        lines = connection.execute("SELECT number, line FROM diary ORDER BY number").fetchall()
        connection.execute("DROP TABLE diary")
        for statement in schema.TABLES.split(";"):
            connection.execute(statement)
        for number, line in lines:
            row = (number, "note", None, 0.0, json.dumps({"text": line}), 0)
            connection.execute("INSERT INTO event VALUES (?,?,?,?,?,?,?)", (*row, checksum(row)))
        row = ("state", '"finished"')
        connection.execute("INSERT INTO meta VALUES (?,?,?)", (*row, checksum(row)))

    monkeypatch.setitem(schema.MIGRATIONS, 0, upgrade)
    rundir.path.mkdir()
    connection = sqlite3.connect(rundir.journal)
    connection.execute("CREATE TABLE diary(number INTEGER PRIMARY KEY, line)")
    connection.execute("INSERT INTO diary(line) VALUES ('first'), ('second')")
    connection.commit()
    connection.close()
    return rundir


def test_a_reader_reads_an_older_journal_and_leaves_it_as_it_is(older):
    before = older.journal.read_bytes()
    reader = Reader(older)
    assert [e.payload["text"] for e in reader.events()] == ["first", "second"]
    assert reader.state == "finished"
    assert not reader.refresh()
    assert older.journal.read_bytes() == before


def test_a_writer_brings_an_older_journal_up_to_date(older):
    writer = Writer(older, {}, attempt=1)
    writer.event("note", {"text": "third"})
    writer.append([0], [0], {"loss": [1]})
    writer.close("finished")
    reader = Reader(older)
    assert [e.payload["text"] for e in reader.events(["note"])] == ["first", "second", "third"]
    assert reader.scalars("loss").values.tolist() == [1]


def test_a_failed_migration_changes_nothing(older, monkeypatch):
    def breaks(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TABLE diary")
        connection.execute("SELECT * FROM nowhere")

    monkeypatch.setitem(schema.MIGRATIONS, 0, breaks)
    with pytest.raises(StoreError):
        Writer(older, {})
    connection = sqlite3.connect(older.journal)
    assert connection.execute("SELECT count(*) FROM diary").fetchone() == (2,)
    connection.close()


def test_a_newer_journal_is_refused_in_words(rundir):
    Writer(rundir, {}).close("finished")
    connection = sqlite3.connect(rundir.journal)
    connection.execute(f"PRAGMA user_version={schema.SCHEMA_VERSION + 1}")
    connection.close()
    for opener in (Reader, lambda rundir: Writer(rundir, {})):
        with pytest.raises(StoreError, match="newer workbench"):
            opener(rundir)


def test_a_version_that_nobody_knows_any_more_is_refused_in_words(rundir):
    rundir.path.mkdir()
    connection = sqlite3.connect(rundir.journal)
    connection.execute("CREATE TABLE something(x)")
    connection.close()
    with pytest.raises(StoreError, match="cannot read any more"):
        Reader(rundir)
