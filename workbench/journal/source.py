"""The reader's way into `journal.db`: opens without writing, notices changes, reads damage as far as it goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workbench.cards.errors import StoreError
from workbench.journal import schema
from workbench.journal.layout import RunDir
from workbench.journal.lock import is_held
from workbench.journal.sqlite import FAULTS, Connection, connect, explain

_SALVAGE = 2_000_000  # rows read of a damaged table at most
_REFUSED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM})


class Source:
    """A journal opened for reading. `damage` gathers, in words, what cannot be read."""

    def __init__(self, rundir: RunDir) -> None:
        self.rundir = rundir
        self.path = rundir.journal
        self.damage: list[str] = []
        self._connection: Connection | None = None
        self._version: int | None = None
        self._asleep: tuple[Any, ...] | None = None
        self._converted = False

    def changed(self) -> bool:
        """Whether the journal may have changed since the last call; True means that it is open and has tables."""
        if self._asleep is not None:
            if self._signature() == self._asleep:
                return False
            self.close()
        if self._connection is None and not self._open():
            return False
        assert self._connection is not None
        with self._words():
            (seen,) = self._connection.execute("PRAGMA data_version").fetchone()
            if seen == self._version:
                return False
            found = schema.version(self._connection)
        if found is None:
            return False
        schema.check(found, self.path)
        self._version = seen
        if found < schema.SCHEMA_VERSION and not self._converted:
            self._convert()
        return True

    def _open(self) -> bool:
        if not self.path.exists():
            return False
        self._version = None
        with self._words():
            try:
                self._connection = self._try("ro")
            except sqlite3.OperationalError as error:
                # A journal in write-ahead mode on a read-only disk can be opened if nobody changes it and its log is
                # empty; were it not, values would be missing without a word.
                if _code(error) not in _REFUSED or self._log_size() or is_held(self.rundir.lock):
                    raise
                self._connection = self._try("immutable")
        return True

    def _try(self, mode: str) -> Connection:
        connection = connect(self.path, mode=mode, timeout=5.0)
        try:
            connection.execute("PRAGMA cell_size_check=ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except FAULTS:
            connection.close()
            raise
        return connection

    def _convert(self) -> None:
        """Bring a copy in memory to this version: an older journal is read as it lies, and never written."""
        assert self._connection is not None
        with self._words():
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=Connection)
            self._connection.backup(copy)
            schema.prepare(copy, self.path)
        self._connection.close()
        self._connection, self._converted = copy, True
        self._asleep = self._signature()

    def sleep(self) -> None:
        """Close the file of a run that has ended; it is opened again for a read, or when it changes."""
        self._asleep = self._signature()
        if self._connection is not None and not self._converted:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._version = self._asleep = None
        self._converted = False

    def _signature(self) -> tuple[Any, ...]:
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size, self._log_size()

    def _log_size(self) -> int:
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The open connection, in one short read transaction; of a run that has ended it is closed again afterwards."""
        if self._connection is None and not self._open():
            raise StoreError(f"{self.path} is gone: the run's folder was moved or removed.")
        assert self._connection is not None
        try:
            with self._words():
                self._connection.execute("BEGIN")
                yield self._connection
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if self._asleep is not None:
                self.sleep()

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            raise StoreError(explain(error, "Reading", self.path)) from error

    def rows(
        self, connection: Connection, table: str, columns: str, where: str = "1", *params: Any, order: str = "rowid"
    ) -> list[tuple[Any, ...]]:
        """The rows of a table in the order they were written; of a damaged one, those that can be reached."""
        try:
            query = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order}"
            return connection.execute(query, params).fetchall()
        except FAULTS as error:
            if _code(error) in _PASSING:
                raise
            self.note(f"A part of the table '{table}' of {self.path.name} cannot be read ({error}).")
        # From both ends towards the damage, past any index.
        found: dict[int, tuple[Any, ...]] = {}
        for way in ("rowid", "rowid DESC"):
            try:
                query = f"SELECT rowid, {columns} FROM {table} NOT INDEXED ORDER BY {way}"
                for rowid, *row in connection.execute(query):
                    if rowid in found or len(found) > _SALVAGE:
                        break
                    found[rowid] = tuple(row)
            except FAULTS:
                continue
        return [found[rowid] for rowid in sorted(found)]

    def note(self, text: str) -> None:
        """Name a damage, once."""
        if text not in self.damage:
            self.damage.append(text)


def _code(error: Exception) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
