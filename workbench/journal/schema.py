"""The tables of `journal.db`, their version, and the way from older versions to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from workbench.cards.errors import StoreError
from workbench.journal.sqlite import immediate

SCHEMA_VERSION = 1

# Columns carry no type: SQLite then gives back exactly what was put in, which the checksums rely on.
# `chunk` is what readers scan, `chunk_data` what they seldom need: blobs in the scanned rows made a scan of 40,000
# chunks up to eight times slower. `start` is the number of the series' values before the row (same attempt), so that
# a vanished row shows; `rev` grows with every write, so that readers fetch only what is new.
TABLES = """
CREATE TABLE meta(key PRIMARY KEY, value NOT NULL, crc NOT NULL);
CREATE TABLE series(id INTEGER PRIMARY KEY, name UNIQUE, kind, crc NOT NULL);
CREATE TABLE chunk(id INTEGER PRIMARY KEY, series, rev, attempt, start, n, s0, s1, dtype, shape, stats, crc NOT NULL);
CREATE INDEX chunk_by_step ON chunk(series, s0);
CREATE INDEX chunk_by_rev ON chunk(rev);
CREATE TABLE chunk_data(id INTEGER PRIMARY KEY, micro, data NOT NULL);
CREATE TABLE text(id INTEGER PRIMARY KEY, series, attempt, step, time, text, crc NOT NULL);
CREATE TABLE event(id INTEGER PRIMARY KEY, kind, step, time, payload, attempt, crc NOT NULL);
CREATE TABLE command(id INTEGER PRIMARY KEY, seq, kind, payload, at_step, source, time, step, outcome, reason, old, new,
  attempt, crc NOT NULL);
CREATE TABLE checkpoint(id INTEGER PRIMARY KEY, step, path, size, sha256, watermark, time, attempt, payload,
  crc NOT NULL);
"""

# version -> what turns a journal of that version into the next one; runs inside one transaction.
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}


def version(connection: sqlite3.Connection) -> int | None:
    """The journal's schema version; None: nothing was created yet."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number) if tables else None


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables, or bring an older journal to this version; raises `StoreError` for a newer one."""
    with immediate(connection):
        found = version(connection)
        if found is None:
            for statement in TABLES.split(";"):
                if statement.strip():
                    connection.execute(statement)
        else:
            check(found, path)
            for number in range(found, SCHEMA_VERSION):
                MIGRATIONS[number](connection)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def check(found: int, path: Path) -> None:
    """Refuse, in words, a version that this program cannot read."""
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer workbench (journal version {found}, this one knows {SCHEMA_VERSION}). "
            "Update with: pip install -U balance-workbench"
        )
    for number in range(found, SCHEMA_VERSION):
        if number not in MIGRATIONS:
            raise StoreError(f"{path} has journal version {found}, which this workbench cannot read any more.")
