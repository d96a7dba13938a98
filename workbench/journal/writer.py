"""The one writer of a run's journal."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.cards.errors import InvalidValue, NotAllowed, StoreError
from workbench.journal import schema
from workbench.journal.chunks import Columns
from workbench.journal.layout import RunDir
from workbench.journal.records import FINAL_STATES, OUTCOMES, STATES, CommandRecord, to_json
from workbench.journal.series import Batch, Tail, extend, joined, restored
from workbench.journal.sqlite import Connection, checksum, connect, explain, immediate, in_words, use_wal

FULL_EVERY = 5.0  # seconds between commits of metrics that outlive power loss
KEPT = 4_000_000  # values kept for another try when the journal cannot be written
_WAL_BYTES = 4 << 20


class Writer:
    """Creates or opens (and unseals) `journal.db`; made by the worker while it holds the run's lock.

    Values gather in memory until `flush`, which never raises for a full or failing disk: `problem` then says what is
    wrong, in words, and the values are kept for the next try. Everything else is durable when its method returns and
    raises `StoreError` otherwise. Any thread may call any method; commands, events and checkpoints have a connection
    of their own, so that the training thread hardly waits for a flush. A forked child must not use it (`NotAllowed`).
    """

    def __init__(self, rundir: RunDir, meta: Mapping[str, Any], *, attempt: int = 0) -> None:
        self.rundir = rundir
        self.path = rundir.journal
        self.attempt = attempt
        self.problem: str | None = None
        self.dropped = 0  # values given up because the journal could not be written for too long
        self._pid = os.getpid()
        self._metrics, self._records = threading.RLock(), threading.RLock()
        self._pending: dict[str, list[Columns]] = {}
        self._texts: list[tuple[str, int, float, str]] = []
        self._kinds: dict[str, tuple[int, str]] = {}
        self._known: set[str] = set()
        self._tails: dict[str, Tail] = {}
        self._front: dict[str, float] = {}
        self._waiting = self._since_wal = 0
        self._unsynced = self._closed = False
        with in_words("Opening the journal", self.path):
            rundir.path.mkdir(parents=True, exist_ok=True)
            self._slow = connect(self.path)
            wal = use_wal(self._slow, self.path)
            self._fast = connect(self.path, full=False)
            for connection in (self._slow, self._fast):
                connection.execute("PRAGMA wal_autocheckpoint=0")  # the flush does it, never the training thread
            schema.prepare(self._slow, self.path)
            self._wal = wal
            self._load()
            started = {"created": time.time()} if self._get_meta("created") is None else {}
            with immediate(self._slow):
                for key, value in {
                    **started,
                    **meta,
                    "attempt": attempt,
                    "state": "starting",
                    "message": "",
                    "sealed": False,
                }.items():
                    self._put_meta(key, value)
        if not wal:
            self.event(
                "warning",
                {
                    "text": f"{rundir.path} lies on a file system without shared memory (a network disk): the journal "
                    "works there, more slowly. Set WORKBENCH_HOME to a local folder to avoid that."
                },
            )
        self._last_full = time.monotonic()

    def _load(self) -> None:
        one = self._fast.execute
        for number, name, kind, crc in one("SELECT id, name, kind, crc FROM series").fetchall():
            if checksum((number, name, kind)) == crc:
                self._kinds[name] = number, kind
                self._known.add(name)
        (top_series,) = one("SELECT coalesce(max(id), 0) FROM series").fetchone()
        (top_id,) = one("SELECT coalesce(max(id), 0) FROM chunk").fetchone()
        (top_data,) = one("SELECT coalesce(max(id), 0) FROM chunk_data").fetchone()
        (top_rev,) = one("SELECT coalesce(max(rev), 0) FROM chunk").fetchone()
        (top_text,) = one("SELECT coalesce(max(id), 0) FROM text").fetchone()
        self._series = itertools.count(top_series + 1).__next__
        self._ids = itertools.count(max(top_id, top_data) + 1).__next__
        self._revs = itertools.count(top_rev + 1).__next__
        self._top_text = top_text

    # ------------------------------------------------------------------ metrics
    def append(self, steps: ArrayLike, times: ArrayLike, columns: Mapping[str, ArrayLike]) -> None:
        """Add scalars: each column has a value at each of `steps` (increasing); `times` in seconds since 1970.

        A step equal to the series' last one replaces its value. Raises `InvalidValue`, before anything is taken, for
        lengths that differ, steps that go back within the attempt, or a name that was an array or text before.
        """
        at = self._at(steps, times)
        self._take({n: Columns(*at, np.array(v, dtype=np.float64)) for n, v in columns.items()}, "scalar")

    def append_array(self, name: str, steps: ArrayLike, times: ArrayLike, values: ArrayLike) -> None:
        """Add arrays of one shape, values (n, *shape); dtype and shape are kept (numbers and booleans)."""
        array = np.array(values)
        if array.dtype.kind not in "biuf":
            raise InvalidValue(f"The signal '{name}' holds {array.dtype} values; numbers and booleans can be recorded.")
        kept = np.dtype(np.float64) if array.dtype.itemsize > 8 else array.dtype.newbyteorder("<")
        self._take({name: Columns(*self._at(steps, times), array.astype(kept, copy=False))}, "array")

    def append_text(self, name: str, step: int, time: float, text: str) -> None:
        """Add a text."""
        self._check_process()
        with self._metrics:
            self._check_kind(name, "text")
            self._texts.append((name, int(step), float(time), str(text)))
            self._waiting += 1

    def _at(self, steps: ArrayLike, times: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        at, when = np.array(steps, dtype=np.float64), np.array(times, dtype=np.float64)
        if at.ndim != 1 or at.shape != when.shape:
            raise InvalidValue(f"Steps and times must be as many: got shapes {at.shape} and {when.shape}.")
        if len(at) and not (at[0] >= 0 and at[-1] < 2**53 and np.all(np.diff(at) > 0) and np.all(at == np.floor(at))):
            raise InvalidValue("Steps must be whole numbers from 0 on that increase within a block.")
        return at, when

    def _take(self, blocks: Mapping[str, Columns], kind: str) -> None:
        self._check_process()
        with self._metrics:
            for name, block in blocks.items():
                if block.values.shape[:1] != block.steps.shape or (kind == "scalar" and block.values.ndim != 1):
                    raise InvalidValue(
                        f"The signal '{name}' has values of shape {block.values.shape} for {len(block)} steps."
                    )
                if not len(block):
                    continue
                self._check_kind(name, kind)
                front = self._front.get(name)
                if front is None:
                    front = self._front[name] = self._tail(name).last
                if block.steps[0] < front:
                    raise InvalidValue(
                        f"The signal '{name}' goes back from step {front:.0f} to step {block.steps[0]:.0f}."
                    )
            for name, block in blocks.items():
                if not len(block):
                    continue
                waiting = self._pending.setdefault(name, [])
                if waiting and waiting[-1].steps[-1] == block.steps[0]:
                    if len(waiting[-1]) > 1:
                        waiting[-1] = waiting[-1][:-1]
                    else:
                        waiting.pop()
                waiting.append(block)
                self._front[name] = float(block.steps[-1])
                self._waiting += len(block)

    def _check_kind(self, name: str, kind: str) -> None:
        known = self._kinds.get(name)
        if known is None:
            self._kinds[name] = self._series(), kind
        elif known[1] != kind:
            raise InvalidValue(f"The signal '{name}' was recorded as {known[1]} and now comes as {kind}; rename one.")

    def _tail(self, name: str) -> Tail:
        if name not in self._tails:
            series, kind = self._kinds[name]
            with in_words("Reading the journal", self.path):
                known = name in self._known
                tail = restored(self._fast, series, kind, self.attempt) if known else Tail(series, kind)
            self._tails[name] = tail
        return self._tails[name]

    def flush(self, *, full: bool = False) -> None:
        """Commit what was appended, in one transaction; `full` (and every 5 s anyway): durable at power loss."""
        self._check_process()
        with self._metrics:
            if self._commit(full) and self._wal and self._since_wal > _WAL_BYTES:
                with suppress(sqlite3.Error):  # a reader may stand in the way: the next flush does it
                    self._fast.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    self._since_wal = 0

    def _commit(self, full: bool) -> bool:
        full = full or time.monotonic() - self._last_full >= FULL_EVERY
        if not self._pending and not self._texts and not (full and self._unsynced):
            return False
        batch = Batch(self._fast, self.attempt, self._ids, self._revs)
        try:
            self._fast.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            with immediate(self._fast):
                tails = self._write(batch)
                if full:  # something must be written for the commit to reach the disk
                    self._put_meta("durable", time.time(), self._fast)
        except (sqlite3.Error, StoreError) as error:
            self.problem = (
                explain(error, "Writing metrics to", self.path) if isinstance(error, sqlite3.Error) else str(error)
            )
            self._give_up()
            return False
        self._tails.update(tails)
        self._known.update(tails, (name for name, *_ in self._texts))
        self._top_text += len(self._texts)
        self._pending, self._texts, self._waiting = {}, [], 0
        self._since_wal += batch.size
        self._unsynced = not full
        if full:
            self._last_full = time.monotonic()
        self.problem = None
        return True

    def _write(self, batch: Batch) -> dict[str, Tail]:
        for name in {*self._pending, *(name for name, *_ in self._texts)} - self._known:
            row = (self._kinds[name][0], name, self._kinds[name][1])
            self._fast.execute("INSERT OR REPLACE INTO series VALUES (?,?,?,?)", (*row, checksum(row)))
        tails = {}
        for name, blocks in self._pending.items():
            tail = self._tail(name)
            for block in joined(blocks):
                tail = extend(tail, block, batch)
            tails[name] = tail
        batch.write()
        for number, (name, *text) in enumerate(self._texts, self._top_text + 1):
            line = (number, self._kinds[name][0], self.attempt, *text)
            self._fast.execute("INSERT INTO text VALUES (?,?,?,?,?,?,?)", (*line, checksum(line)))
        return tails

    def _give_up(self) -> None:
        """Drop the oldest values beyond what memory may hold, and say so."""
        while self._waiting > KEPT and self._pending:
            longest = max(self._pending, key=lambda n: sum(map(len, self._pending[n])))
            gone = self._pending[longest].pop(0)
            if not self._pending[longest]:
                del self._pending[longest]
            self._waiting -= len(gone)
            self.dropped += len(gone)
        if self.dropped:
            self.problem = f"{self.problem} {self.dropped:,} values could not be kept and are lost."

    # ------------------------------------------------------------------ records
    @contextmanager
    def _recording(self, doing: str) -> Iterator[Connection]:
        self._check_process()
        with self._records, in_words(doing, self.path), immediate(self._slow):
            yield self._slow

    def _insert(self, table: str, *values: Any) -> int:
        (top,) = self._slow.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()
        row = (top + 1, *values)
        self._slow.execute(f"INSERT INTO {table} VALUES ({','.join('?' * (len(row) + 1))})", (*row, checksum(row)))
        return int(row[0])

    def event(self, kind: str, payload: Mapping[str, Any], *, step: int | None = None) -> int:
        """Record an event durably and return its id."""
        body = to_json(dict(payload), f"The event '{kind}'")
        with self._recording("Recording an event in"):
            return self._insert("event", kind, _whole(step), time.time(), body, self.attempt)

    def set_state(self, state: str, message: str = "", step: int | None = None) -> None:
        """Record the run's state (an event, and what readers show)."""
        if state not in STATES or state in ("queued", "lost"):
            raise InvalidValue(f"A worker cannot be '{state}'.")
        body = to_json({"state": state, "message": message}, "The state")
        with self._recording("Recording the state in"):
            self._insert("event", "state", _whole(step), time.time(), body, self.attempt)
            self._put_meta("state", state)
            self._put_meta("message", message)

    def record_commands(self, decided: Sequence[CommandRecord]) -> list[CommandRecord]:
        """Record commands and outcomes durably in one transaction, before they take effect; with ids filled in."""
        done = []
        with self._recording("Recording commands in"):
            for record in decided:
                if record.outcome not in OUTCOMES:
                    raise InvalidValue(f"A command cannot end as '{record.outcome}'. Known: {', '.join(OUTCOMES)}.")
                payload, old, new = (
                    to_json(v, f"The command '{record.kind}'") for v in (record.payload, record.old, record.new)
                )
                number = self._insert(
                    "command",
                    record.seq,
                    record.kind,
                    payload,
                    _whole(record.at_step),
                    record.source,
                    record.time,
                    _whole(record.step),
                    record.outcome,
                    record.reason,
                    old,
                    new,
                    self.attempt,
                )
                done.append(replace(record, attempt=self.attempt, id=number))
        return done

    def checkpoint(
        self,
        step: int,
        path: str | os.PathLike[str],
        size: int,
        sha256: str,
        watermark: int,
        payload: Mapping[str, Any] | None = None,
    ) -> int:
        """Record a finished checkpoint durably, after every value appended so far; returns its id.

        Raises `StoreError`, and records nothing, when the values cannot be written.
        """
        body = to_json(dict(payload or {}), "The checkpoint")
        self._check_process()
        with self._metrics:
            # A commit of the other connection carries these to the disk too; a rollback journal has no such link.
            self._commit(full=not self._wal)
            if self._pending or self._texts:
                raise StoreError(self.problem or f"Writing metrics to {self.path} failed.")
            with self._recording("Recording a checkpoint in"):
                row = (int(step), os.fspath(path), int(size), sha256, int(watermark), time.time(), self.attempt, body)
                return self._insert("checkpoint", *row)

    def set_meta(self, key: str, value: Any) -> None:
        """Keep a plain value about the run, durably."""
        with self._recording("Writing"):
            self._put_meta(key, value)

    def _put_meta(self, key: str, value: Any, connection: sqlite3.Connection | None = None) -> None:
        text = to_json(value, f"The meta value '{key}'")
        row = (key, text, checksum((key, text)))
        (connection or self._slow).execute("INSERT OR REPLACE INTO meta VALUES (?,?,?)", row)

    def _get_meta(self, key: str) -> str | None:
        found = self._slow.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchall()
        return found[0][0] if found else None

    # ------------------------------------------------------------------ end
    def close(self, state: str | None = None, message: str = "") -> None:
        """Write what is left, record `state`, and, if it is a final one, seal the journal: one file to copy.

        Everything is closed even when `StoreError` is raised because something could not be written.
        """
        if self._closed:
            return
        self._check_process()
        with self._metrics, self._records:
            try:
                self._commit(full=True)
                if state is not None:
                    self.set_state(state, message)
                if self._pending or self._texts:
                    raise StoreError(self.problem or f"Writing metrics to {self.path} failed.")
                if state in FINAL_STATES:
                    with in_words("Sealing", self.path):
                        self._seal()
            finally:
                self._closed = True
                for connection in (self._slow, self._fast):
                    connection.close()

    def _seal(self) -> None:
        with immediate(self._slow):
            self._put_meta("sealed", True)
        if self._wal:
            self._slow.execute("PRAGMA busy_timeout=2000")
            ((busy, *_),) = self._slow.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if busy:  # a reader in the middle of something; the journal is whole all the same, in two files
                with immediate(self._slow):
                    self._put_meta("sealed", False)
                return
            self._fast.close()
            self._slow.execute("PRAGMA busy_timeout=0")
            with suppress(sqlite3.OperationalError):  # while somebody reads, the file stays as it is
                self._slow.execute("PRAGMA journal_mode=DELETE").fetchall()

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise NotAllowed("A forked process cannot write the journal of the process it came from.")
        if self._closed:
            raise NotAllowed(f"The journal {self.path} is closed.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._closed:
            self.close()


def _whole(step: int | None) -> int | None:
    return None if step is None else int(step)
