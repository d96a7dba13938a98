"""Reading a run from any process, while it is written and after."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from workbench.cards.errors import InvalidValue, StoreError, UnknownName
from workbench.cards.findings import Finding
from workbench.journal import schema
from workbench.journal.chunks import COLUMNS, ChunkRow, Columns
from workbench.journal.inbox import Inbox
from workbench.journal.layout import RunDir
from workbench.journal.lock import is_held
from workbench.journal.records import (
    FINAL_STATES,
    ArrayPoints,
    Buckets,
    CheckpointRow,
    Command,
    CommandRecord,
    Event,
    Floats,
    Points,
    TextPoint,
)
from workbench.journal.sqlite import Connection, checksum, connect, in_words
from workbench.journal.stretches import Series, bucket, latest
from workbench.journal.summary import Summary

_KEPT = 4096  # micro-statistics kept in memory: 4,096 chunks of 4,096 values


class Reader:
    """A run's journal, inbox and state, read-only. `refresh` looks for news; everything else answers from the last look.

    It never waits for the writer, reads in short transactions, and keeps statistics rather than values. What is damaged
    is left out and named in `damage`. Threads may share an object.
    """

    def __init__(self, rundir: RunDir) -> None:
        self.rundir = rundir
        self.meta: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._inbox = Inbox(rundir)
        self._version: int | None = None
        self._stat: tuple[int, ...] = ()
        self._state = "queued"
        self._series: dict[str, Series] = {}
        self._by_id: dict[int, Series] = {}
        self._rev = self._event = self._command = self._checkpoint = self._text = self._asked = 0
        self._events: list[Event] = []
        self._commands: list[CommandRecord] = []
        self._checkpoints: list[CheckpointRow] = []
        self._texts: dict[int, list[TextPoint]] = {}
        self._pending: dict[int, Command] = {}
        self._small: dict[int, tuple[int, Columns]] = {}
        self._micro: dict[int, Summary] = {}
        self._damage: dict[str, None] = {}
        self.refresh()

    # -- looking for news ---------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Read what is new; True if anything is. Raises `StoreError` if the journal cannot be opened at all."""
        with self._lock:
            changed = self._refresh_journal()
            if self._inbox.changed():
                for command in self._inbox.after(self._asked):
                    self._asked = command.seq
                    self._pending[command.seq] = command
                    changed = True
            for seq in [s for s in self._pending if any(r.seq == s for r in self._commands)]:
                del self._pending[seq]
            state = self._derive()
            changed, self._state = changed or state != self._state, state
            if state in FINAL_STATES:
                self.close()
            return changed

    def _refresh_journal(self) -> bool:
        if self._connection is None:
            stat = _stat(self.rundir.journal)
            if not stat or stat == self._stat:
                return False
            self._stat = stat
            self._connection = self._open()
        with in_words("Reading", self.rundir.journal):
            try:
                ((version,),) = self._connection.execute("PRAGMA data_version").fetchall()
            except sqlite3.DatabaseError as error:
                self._note(f"{self.rundir.journal.name}: {error}.")
                return False
        if version == self._version:
            return False
        self._version = version
        return self._load(self._connection)

    def _open(self) -> Connection:
        path = self.rundir.journal
        with in_words("Opening", path):
            try:
                connection = connect(path, mode="ro")
                found = schema.version(connection)
            except sqlite3.OperationalError:  # a journal in a folder that may not be written, after a crash
                connection = connect(path, mode="immutable")
                found = schema.version(connection)
        if found:
            schema.check(found, path)
        self._version = None
        return connection

    def _load(self, connection: Connection) -> bool:
        before = (self._rev, self._event, self._command, self._checkpoint, self._text, json.dumps(self.meta, default=str))
        try:
            connection.execute("BEGIN")
            for key, value, crc in self._rows("SELECT key, value, crc FROM meta"):
                if checksum((key, value)) == crc:
                    self.meta[key] = json.loads(value)
                else:
                    self._note(f"The meta value {key!r} is damaged.")
            for number, name, kind, crc in self._rows("SELECT id, name, kind, crc FROM series"):
                if number not in self._by_id and self._whole("series", number, (number, name, kind), crc):
                    self._by_id[number] = self._series[name] = Series(number, name, kind)
            self._load_chunks()
            self._load_records()
        finally:
            with suppress(sqlite3.Error):
                connection.execute("COMMIT")
        after = (self._rev, self._event, self._command, self._checkpoint, self._text, json.dumps(self.meta, default=str))
        return after != before

    def _load_chunks(self) -> None:
        for row in self._rows(f"SELECT {COLUMNS} FROM chunk WHERE rev > ? ORDER BY rev", self._rev):
            chunk = ChunkRow.parse(row)
            if isinstance(row[2], int):
                self._rev = max(self._rev, row[2])
            if chunk is None or chunk.series not in self._by_id:
                self._note(f"A row of {self._called(row[1])} is damaged; its values are missing.")
                continue
            for gone in self._by_id[chunk.series].add(chunk):
                self._small.pop(gone, None)
                self._micro.pop(gone, None)

    def _load_records(self) -> None:
        for number, *rest, crc in self._rows("SELECT * FROM event WHERE id > ? ORDER BY id", self._event):
            self._event = number
            if self._whole("event", number, (number, *rest), crc):
                kind, step, time, payload, attempt = rest
                self._events.append(Event(number, kind, step, time, json.loads(payload), attempt))
        for number, *rest, crc in self._rows("SELECT * FROM command WHERE id > ? ORDER BY id", self._command):
            self._command = number
            if self._whole("command", number, (number, *rest), crc):
                seq, kind, payload, at_step, source, time, step, outcome, reason, old, new, attempt = rest
                self._commands.append(
                    CommandRecord(
                        seq, kind, json.loads(payload), at_step, source, time, step, outcome, reason,
                        json.loads(old), json.loads(new), attempt, number,
                    )  # fmt: skip
                )
        for number, *rest, crc in self._rows("SELECT * FROM checkpoint WHERE id > ? ORDER BY id", self._checkpoint):
            self._checkpoint = number
            if self._whole("checkpoint", number, (number, *rest), crc):
                *fields, payload = rest
                self._checkpoints.append(CheckpointRow(number, *fields, payload=json.loads(payload)))
        for number, *rest, crc in self._rows("SELECT * FROM text WHERE id > ? ORDER BY id", self._text):
            self._text = number
            if self._whole("text", number, (number, *rest), crc):
                series, _attempt, step, time, text = rest
                self._texts.setdefault(series, []).append(TextPoint(step, time, text))

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query; of a damaged table those that come before the damage."""
        assert self._connection is not None
        rows: list[tuple[Any, ...]] = []
        try:
            cursor = self._connection.execute(query, values)
            while part := cursor.fetchmany(1000):
                rows.extend(part)
        except sqlite3.DatabaseError as error:
            if "no such table" not in str(error) or self._version is not None and self._rev:
                self._note(f"{self.rundir.journal.name} is damaged ({error}); what lies behind the damage is missing.")
        return rows

    def _whole(self, what: str, number: Any, values: tuple[Any, ...], crc: Any) -> bool:
        if checksum(values) == crc:
            return True
        self._note(f"The {what} {number} is damaged and was left out.")
        return False

    def _note(self, text: str) -> None:
        self._damage[text] = None

    def _called(self, series: Any) -> str:
        return f"the signal '{self._by_id[series].name}'" if series in self._by_id else "a signal"

    def _derive(self) -> str:
        if not self.meta:
            return "starting" if is_held(self.rundir.lock) else "queued"
        state = str(self.meta.get("state", "starting"))
        if state in FINAL_STATES or is_held(self.rundir.lock):
            return state
        # The worker may have written its last word between our look and the test of its lock.
        self._refresh_journal()
        state = str(self.meta.get("state", "starting"))
        return state if state in FINAL_STATES else "lost"

    def close(self) -> None:
        """Close the files; a later call opens them again if something changed or values are asked for."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                self._stat = _stat(self.rundir.journal)

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """queued, starting, running, paused, finished, stopped, failed or lost."""
        return self._state

    @property
    def message(self) -> str:
        """Why the run ended, if it said so."""
        return str(self.meta.get("message") or "")

    @property
    def last_step(self) -> int:
        """The last step with a value, -1 if there is none."""
        return max((e[1] for s in list(self._series.values()) if (e := s.extent())), default=-1)

    @property
    def first_step(self) -> int:
        """The first step with a value, -1 if there is none."""
        return min((e[0] for s in list(self._series.values()) if (e := s.extent())), default=-1)

    @property
    def damage(self) -> list[str]:
        """What could not be read, in words."""
        with self._lock:
            gaps = [
                f"{missing:,} values of the signal '{s.name}' before step {step:,} are missing."
                for s in self._series.values()
                for missing, step in s.gaps()
            ]
            return [*self._damage, *gaps, *self._inbox.damage]

    def names(self) -> dict[str, str]:
        """Signal → scalar, array or text, in the order of their first value."""
        with self._lock:
            return {s.name: s.kind for s in self._series.values()}

    def extent(self, name: str) -> tuple[int, int, int] | None:
        """(first step, last step, number of values) of a signal, or None while it has none."""
        with self._lock:
            return self._get(name).extent() if name in self._series else None

    def _get(self, name: str) -> Series:
        if name not in self._series:
            raise UnknownName("signal", name, self._series, where=self.rundir.id)
        return self._series[name]

    # -- values -------------------------------------------------------------------------------------------------------

    def scalars(self, name: str, first: float | None = None, last: float | None = None) -> Points:
        """Every recorded point with first <= step <= last; of a step recorded twice the latest attempt's."""
        columns = self._values(name, first, last, "scalar")
        return Points(columns.steps.astype(np.int64), columns.values.astype(np.float64), columns.times)

    def arrays(self, name: str, first: float | None = None, last: float | None = None) -> ArrayPoints:
        """Every recorded array with first <= step <= last that has the newest one's shape and dtype."""
        columns = self._values(name, first, last, "array")
        return ArrayPoints(columns.steps.astype(np.int64), columns.values, columns.times)

    def array_at(self, name: str, step: float | None = None) -> tuple[int, Any] | None:
        """(step, array) of the newest array at or before `step` (None: the newest), or None."""
        with self._lock:
            rows = self._get(name).visible(-np.inf, np.inf if step is None else step) if name in self._series else []
            for row, _ in reversed(rows):
                columns = self._raw(row)
                if columns is None:
                    continue
                end = len(columns) if step is None else int(np.searchsorted(columns.steps, step, side="right"))
                if end:
                    return int(columns.steps[end - 1]), columns.values[end - 1]
            return None

    def texts(self, name: str, count: int = 200) -> list[TextPoint]:
        """The last `count` texts of a signal."""
        with self._lock:
            return self._texts.get(self._get(name).id, [])[-count:]

    def _values(self, name: str, first: float | None, last: float | None, kind: str) -> Columns:
        low, high = (-np.inf if first is None else first), (np.inf if last is None else last)
        with self._lock:
            series = self._get(name)
            if series.kind != kind:
                raise InvalidValue(f"The signal '{name}' holds {series.kind}s; read it with .{series.kind}s(…).")
            rows = [row for row, _ in series.visible(low, high)]
            parts = [
                (row.attempt, columns)
                for row in rows
                if (row.dtype, row.shape) == (rows[-1].dtype, rows[-1].shape) and (columns := self._raw(row)) is not None
            ]
        if not parts:
            return Columns(np.empty(0), np.empty(0), np.empty(0))
        joined = latest(parts)
        return joined[(joined.steps >= low) & (joined.steps <= high)]

    def buckets(self, name: str, edges: Floats) -> Buckets:
        """The signal summed up between the step boundaries `edges` (n+1,), from statistics wherever they are fine enough.

        Scalars give fields of shape (n,), arrays of up to 256 components (n, k).
        """
        edges = np.asarray(edges, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
            raise InvalidValue("buckets() takes at least two step boundaries that increase.")
        with self._lock:
            return bucket(self._get(name).visible(edges[0], edges[-1]), edges, self._raw, self._summary)

    def _raw(self, row: ChunkRow) -> Columns | None:
        kept = self._small.get(row.id)
        if kept is not None and kept[0] == row.rev:
            return kept[1]
        blob = self._blob("data", row.id)
        columns = None if blob is None else row.columns(blob)
        if columns is None:
            # A row that is being rewritten may be newer than what we know of it; the next refresh brings both.
            self._note(f"Values of {self._called(row.series)} at steps {row.s0:,}–{row.s1:,} are damaged.")
        elif row.stats is None:
            self._small[row.id] = row.rev, columns
        return columns

    def _summary(self, row: ChunkRow) -> Summary | None:
        if row.id not in self._micro:
            blob = self._blob("micro", row.id)
            summary = None if blob is None else row.micro(blob)
            if summary is None:
                return None
            if len(self._micro) >= _KEPT:
                self._micro.pop(next(iter(self._micro)))
            self._micro[row.id] = summary
        return self._micro[row.id]

    def _blob(self, column: str, number: int) -> Any:
        if self._connection is None:
            self._connection = self._open()
        rows = self._rows(f"SELECT {column} FROM chunk_data WHERE id = ?", number)
        return rows[0][0] if rows else None

    # -- records ------------------------------------------------------------------------------------------------------

    def commands(self) -> list[CommandRecord]:
        """Every command with its outcome, in the order of deciding."""
        with self._lock:
            return list(self._commands)

    def pending(self) -> list[Command]:
        """Commands that wait for their outcome."""
        with self._lock:
            return list(self._pending.values())

    def events(self, kinds: Iterable[str] | None = None, after: int = 0) -> list[Event]:
        """Events with an id above `after`, of the given kinds (None: all)."""
        wanted = None if kinds is None else set(kinds)
        with self._lock:
            return [e for e in self._events if e.id > after and (wanted is None or e.kind in wanted)]

    def findings(self) -> list[Finding]:
        """The newest version of every finding, in the order they were first made."""
        found = {e.payload["key"]: Finding.from_json(e.payload) for e in self.events(["finding"])}
        return list(found.values())

    def checkpoints(self) -> list[CheckpointRow]:
        """Finished checkpoints, oldest first."""
        with self._lock:
            return list(self._checkpoints)

    def export(self, path: Path) -> Path:
        """All scalars as a Parquet table (signal, step, time, value); needs pyarrow."""
        from workbench.journal.export import write_parquet

        return write_parquet(self, path)


def _stat(path: Path) -> tuple[int, ...]:
    """What tells that a file, or its write-ahead log, was written; empty if there is no file."""
    found: list[int] = []
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            stat = name.stat()
        except FileNotFoundError:
            if name == path:
                return ()
            continue
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}.") from error
        found += [stat.st_mtime_ns, stat.st_size, stat.st_ino]
    return tuple(found)
