"""Commands to a worker: anybody puts them in, the worker takes them at step boundaries."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from typing import Any

from workbench.cards.errors import InvalidValue
from workbench.journal.layout import RunDir
from workbench.journal.records import COMMAND_KINDS, Command, to_json
from workbench.journal.sqlite import Connection, checksum, connect, immediate, in_words, use_wal

_TABLE = """CREATE TABLE IF NOT EXISTS command(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind, payload, at_step, source, time, crc NOT NULL)"""


class Inbox:
    """The inbox of a run; many processes may issue at once, none is lost, numbers give the order.

    Reading an inbox that nobody wrote to yet creates nothing. Threads may share an object.
    """

    def __init__(self, rundir: RunDir) -> None:
        self.path = rundir.inbox
        self.damage: list[str] = []
        self._lock = threading.Lock()
        self._out: Connection | None = None
        self._in: Connection | None = None
        self._seen: int | None = None

    def issue(
        self,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        at_step: int | None = None,
        source: str = "user",
    ) -> int:
        """Put in a command durably and return its number; it takes effect before step `at_step`, or as soon as it can.

        Raises `InvalidValue` for an unknown kind, a negative step or a payload that is no plain data, `StoreError` if
        the folder cannot be written.
        """
        if kind not in COMMAND_KINDS:
            raise InvalidValue(f"There is no command '{kind}'. Known: {', '.join(COMMAND_KINDS)}.")
        if at_step is not None and at_step < 0:
            raise InvalidValue(f"at_step must be a whole number from 0 on, or None for at once; got {at_step!r}.")
        body = to_json(dict(payload or {}), f"What the command '{kind}' carries")
        with self._lock, in_words("Sending a command to", self.path):
            if self._out is None:
                self._out = self._open_out()
            with immediate(self._out):
                now = time.time()
                (top,) = self._out.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
                row = (top + 1, kind, body, at_step, source, now)
                self._out.execute("INSERT INTO command VALUES (?,?,?,?,?,?,?)", (*row, checksum(row)))
            return int(top + 1)

    def _open_out(self) -> Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(self.path, timeout=60.0)  # among many senders SQLite gives turns by luck
        use_wal(connection, self.path)
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'command'").fetchall():
            connection.execute(_TABLE)
        return connection

    def changed(self) -> bool:
        """Whether something may have been written since the last call (the first says yes); a few microseconds."""
        with self._lock:
            reader = self._reader()
            if reader is None:
                return False
            with in_words("Reading", self.path):
                (seen,) = reader.execute("PRAGMA data_version").fetchone()
            if seen == self._seen:
                return False
            self._seen = seen
            return True

    def after(self, seq: int) -> list[Command]:
        """The commands with a number above `seq`, in order; damaged ones are left out and named in `damage`."""
        with self._lock:
            reader = self._reader()
            if reader is None:
                return []
            with in_words("Reading", self.path):
                try:
                    rows = reader.execute(
                        "SELECT seq, kind, payload, at_step, source, time, crc FROM command WHERE seq > ? ORDER BY seq",
                        (seq,),
                    ).fetchall()
                except sqlite3.OperationalError as error:
                    if "no such table" in str(error):  # its maker has not come further yet
                        return []
                    raise
        commands = []
        for *row, crc in rows:
            if checksum(row) == crc:
                number, kind, payload, at_step, source, when = row
                commands.append(Command(number, kind, json.loads(payload), at_step, source, when))
            elif (text := f"Command {row[0]} in {self.path.name} is damaged and was left out.") not in self.damage:
                self.damage.append(text)
        return commands

    def _reader(self) -> Connection | None:
        if self._in is None and self.path.exists():
            with in_words("Opening", self.path):
                self._in = connect(self.path, mode="ro")
        return self._in

    def close(self) -> None:
        """Close the files; the object may be used again."""
        with self._lock:
            for connection in (self._in, self._out):
                if connection is not None:
                    connection.close()
            self._in = self._out = self._seen = None
