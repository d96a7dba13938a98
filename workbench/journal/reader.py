"""Reading a run from any process, while it is written and after."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from workbench.cards.errors import InvalidValue, StoreError, UnknownName
from workbench.cards.findings import Finding
from workbench.journal.buckets import bucket, clip, steps_between
from workbench.journal.chunks import COLUMNS, COMPONENTS, ChunkRow, Columns
from workbench.journal.contents import Contents, Moved
from workbench.journal.inbox import Inbox
from workbench.journal.index import Piece, SeriesIndex
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
    command_from_row,
)
from workbench.journal.source import Source
from workbench.journal.sqlite import Connection, checksum

_T = TypeVar("_T")


class Reader:
    """A run's journal, inbox and state, read-only. `refresh` looks for news; the rest answers from the last look.

    It never holds up the writer, and keeps statistics and a bounded cache rather than series. A later attempt (after a
    resume) replaces the range of steps that it covers. What is damaged is left out and named in `damage`; a journal
    that cannot be read at all raises `StoreError`. Threads may share an object.
    """

    def __init__(self, rundir: RunDir) -> None:
        self.rundir = rundir
        self.meta: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._source = Source(rundir)
        self._inbox = Inbox(rundir)
        self._raw_meta: dict[str, str] = {}
        self._state, self._message = "queued", ""
        self._stale = False
        self._series: dict[str, SeriesIndex] = {}
        self._by_id: dict[int, SeriesIndex] = {}
        self._tops = dict.fromkeys(("series", "event", "command", "checkpoint", "text", "rev", "inbox"), 0)
        self._events: list[Event] = []
        self._commands: list[CommandRecord] = []
        self._decided: set[int] = set()
        self._checkpoints: list[CheckpointRow] = []
        self._texts: dict[int, dict[int, TextPoint]] = {}
        self._asked: dict[int, Command] = {}
        self._contents = Contents(self._source, self._by_id)
        self.refresh()

    # ------------------------------------------------------------------ looking for news
    def refresh(self) -> bool:
        """Read what is new; True if anything changed since the last call. Raises `StoreError` (see the class)."""
        with self._lock:
            # The lock first: whatever a worker says in the end, it says before it lets go.
            held = is_held(self.rundir.lock)
            changed, self._stale = self._stale, False
            if self._source.changed():
                changed |= self._load()
            changed |= self._look_into_inbox()
            before = self._state, self._message
            self._state, self._message = self._derive(held)
            if self._state in FINAL_STATES and not held:
                self._source.sleep()
            return changed or before != (self._state, self._message)

    def _derive(self, held: bool) -> tuple[str, str]:
        said = self.meta.get("state")
        if said in FINAL_STATES or (held and said is not None):
            return str(said), str(self.meta.get("message", ""))
        if held:
            return "starting", ""
        if said is None and not self.rundir.journal.exists():
            return "queued", ""
        return "lost", "The worker's process ended without a word (killed, or out of memory)."

    def _look_into_inbox(self) -> bool:
        try:
            found = self._inbox.after(self._tops["inbox"]) if self._inbox.changed() else []
        except StoreError as error:
            self._source.note(str(error))
            return False
        for command in found:
            self._asked[command.seq] = command
            self._tops["inbox"] = command.seq
        return bool(found)

    def _load(self) -> bool:
        before = dict(self._tops), {k: v for k, v in self._raw_meta.items() if k != "durable"}
        with self._source.reading() as connection:
            self._load_meta(connection)
            for number, name, kind in self._new(connection, "series", "id, name, kind", check_ids=False):
                self._by_id[number] = self._series[name] = SeriesIndex(number, name, kind)
            self._load_chunks(connection)
            self._load_records(connection)
        return before != (self._tops, {k: v for k, v in self._raw_meta.items() if k != "durable"})

    def _load_meta(self, connection: Connection) -> None:
        for key, value, crc in self._source.rows(connection, "meta", "key, value, crc"):
            if self._raw_meta.get(key) == value:
                continue
            if checksum((key, value)) == crc:
                self._raw_meta[key] = value
                self.meta[key] = json.loads(value)
            else:
                self._source.note(f"A row of the table 'meta' of {self._source.path.name} is damaged.")

    def _load_chunks(self, connection: Connection) -> None:
        top = self._tops["rev"]
        # The first look reads the table as it lies, and trusts no index.
        rows = (
            self._source.rows(connection, "chunk", COLUMNS, "rev > ?", top, order="rev")
            if top
            else self._source.rows(connection, "chunk", COLUMNS)
        )
        known = []
        for row in rows:
            parsed = ChunkRow.parse(row)
            if parsed is None or parsed.series not in self._by_id:
                self._source.note(f"Row {row[0]} of the table 'chunk' is damaged; its values are left out.")
            elif parsed.rev > top:
                known.append(parsed)
        for parsed in sorted(known, key=lambda r: r.rev):
            self._by_id[parsed.series].put(parsed)
            self._tops["rev"] = parsed.rev

    def _new(
        self, connection: Connection, table: str, columns: str, *, check_ids: bool = True
    ) -> list[tuple[Any, ...]]:
        """The rows of a table that were not seen yet and are whole."""
        found = []
        for *row, crc in self._source.rows(connection, table, f"{columns}, crc", "id > ?", self._tops[table]):
            top = self._tops[table]
            if checksum(row) != crc:
                self._source.note(f"Row {row[0]} of the table '{table}' is damaged and was left out.")
            elif row[0] > top:
                if check_ids and row[0] > top + 1:
                    self._source.note(f"Rows {top + 1} to {row[0] - 1} of the table '{table}' are missing.")
                self._tops[table] = row[0]
                found.append(tuple(row))
        return found

    def _load_records(self, connection: Connection) -> None:
        for number, kind, step, time, payload, attempt in self._new(
            connection, "event", "id, kind, step, time, payload, attempt"
        ):
            self._events.append(Event(number, kind, step, time, json.loads(payload), attempt))
        columns = "id, seq, kind, payload, at_step, source, time, step, outcome, reason, old, new, attempt"
        for row in self._new(connection, "command", columns):
            self._commands.append(command_from_row(row))
            self._decided.add(row[1])
        columns = "id, step, path, size, sha256, watermark, time, attempt, payload"
        for row in self._new(connection, "checkpoint", columns):
            number, step, path, size, sha256, watermark, time, attempt, payload = row
            extra = json.loads(payload)
            self._checkpoints.append(CheckpointRow(number, step, path, size, sha256, watermark, time, attempt, extra))
        for _, series, _, step, time, text in self._new(connection, "text", "id, series, attempt, step, time, text"):
            self._texts.setdefault(series, {})[step] = TextPoint(step, time, text)

    def close(self) -> None:
        """Close the files and forget what is cached; a later call opens them again."""
        with self._lock:
            self._source.sleep()
            self._inbox.close()
            self._contents.forget()

    # ------------------------------------------------------------------ what there is
    @property
    def state(self) -> str:
        """queued, starting, running, paused, finished, stopped, failed or lost."""
        return self._state

    @property
    def message(self) -> str:
        """What the state is due to, if anything is known."""
        return self._message

    @property
    def damage(self) -> list[str]:
        """What could not be read, in words."""
        with self._lock:
            gaps = [gap for series in self._series.values() for gap in series.gaps()]
            empty = [f"{self._source.path.name} is empty."] if self._state == "lost" and not self.meta else []
            return [*empty, *self._source.damage, *gaps, *self._inbox.damage]

    @property
    def first_step(self) -> int:
        """The first step with a value, -1 if there is none."""
        return min((first for first, _, _ in self._extents()), default=-1)

    @property
    def last_step(self) -> int:
        """The last step with a value, -1 if there is none."""
        return max((last for _, last, _ in self._extents()), default=-1)

    def _extents(self) -> list[tuple[int, int, int]]:
        with self._lock:
            return [extent for name in self._series if (extent := self.extent(name)) is not None]

    def names(self) -> dict[str, str]:
        """Signal → scalar, array or text, in the order of their first value."""
        with self._lock:
            return {name: series.kind for name, series in self._series.items()}

    def extent(self, name: str) -> tuple[int, int, int] | None:
        """(first step, last step, number of values) of a signal; None while it has no value."""
        with self._lock:
            series = self._series.get(name)
            if series is None:
                return None
            if series.kind != "text":
                return series.extent()
            steps = self._texts.get(series.id, {})
            return (min(steps), max(steps), len(steps)) if steps else None

    def _get(self, name: str, *kinds: str) -> SeriesIndex:
        series = self._series.get(name)
        if series is None:
            raise UnknownName("signal", name, self._series, where=f"the run {self.rundir.id}")
        if series.kind not in kinds:
            raise InvalidValue(f"The signal '{name}' holds {series.kind}s; read it with {series.kind}s('{name}').")
        return series

    # ------------------------------------------------------------------ values
    def scalars(self, name: str, first: float | None = None, last: float | None = None) -> Points:
        """Every point of a scalar signal with first <= step <= last."""
        found = self._settled(lambda: self._columns(self._get(name, "scalar").pieces(first, last), first, last))
        if found is None:
            return Points(np.empty(0, np.int64), np.empty(0), np.empty(0))
        return Points(found.steps.astype(np.int64), found.values, found.times)

    def arrays(self, name: str, first: float | None = None, last: float | None = None) -> ArrayPoints:
        """Every array with first <= step <= last that has the shape and dtype of the last one of them."""
        found = self._settled(lambda: self._columns(_alike(self._get(name, "array").pieces(first, last)), first, last))
        if found is None:
            return ArrayPoints(np.empty(0, np.int64), np.empty(0), np.empty(0))
        return ArrayPoints(found.steps.astype(np.int64), found.values, found.times)

    def _columns(self, pieces: list[Piece], first: float | None, last: float | None) -> Columns | None:
        low, high = (-np.inf if first is None else first), (np.inf if last is None else last)
        found = self._contents.raw(pieces)
        parts = [
            clip(found[p.row.id], max(low, p.lo), min(high, p.hi)) for p in pieces if p.row.id in found and low <= high
        ]
        parts = [part for part in parts if len(part)]
        return Columns.join(parts) if parts else None

    def blocks(
        self, name: str, first: float | None = None, last: float | None = None, *, values: int = 1 << 18
    ) -> Iterator[ArrayPoints]:
        """A scalar or array signal in order, a block at a time: points of one shape and dtype, about `values` numbers.

        For going through any series in bounded memory; unlike `arrays` it gives every shape that was recorded.
        """
        at = first
        while True:
            pieces = self._settled(partial(self._block, name, at, last, values))
            if pieces is None:
                return
            at, found = pieces
            if found is not None:
                yield ArrayPoints(found.steps.astype(np.int64), found.values, found.times)

    def _block(
        self, name: str, first: float | None, last: float | None, values: int
    ) -> tuple[float, Columns | None] | None:
        """The step after the next block, and the block (None: damaged); None behind the last one."""
        taken: list[Piece] = []
        room = values
        for piece in self._get(name, "scalar", "array").pieces(first, last):
            if taken and (room <= 0 or len(_alike([taken[0], piece])) < 2):
                break
            taken.append(piece)
            room -= piece.row.n * math.prod(piece.row.shape)
        return (taken[-1].hi + 1, self._columns(taken, first, last)) if taken else None

    def array_at(self, name: str, step: float | None = None) -> tuple[int, Any] | None:
        """(step, array) of the newest array at or before `step` (None: the newest), or None."""

        def look() -> tuple[int, Any] | None:
            if name not in self._series:
                return None
            for piece in reversed(self._get(name, "array").pieces(None, step)):
                found = self._columns([piece], None, step)
                if found is not None:
                    return int(found.steps[-1]), found.values[-1]
            return None

        return self._settled(look)

    def texts(self, name: str, first: float | None = None, last: float | None = None) -> list[TextPoint]:
        """Every text with first <= step <= last, in order of steps."""
        with self._lock:
            found = self._texts.get(self._get(name, "text").id, {})
            low, high = (-np.inf if first is None else first), (np.inf if last is None else last)
            return [found[step] for step in sorted(found) if low <= step <= high]

    def text_at(self, name: str, step: float | None = None) -> tuple[int, str] | None:
        """(step, text) of the newest text at or before `step` (None: the newest), or None."""
        found = self.texts(name, None, step) if name in self._series else []
        return (found[-1].step, found[-1].text) if found else None

    def buckets(self, name: str, edges: Floats) -> Buckets:
        """A signal summed up between the step boundaries `edges` (n+1,): scalars, or arrays of up to 256 components.

        Reads statistics rather than values wherever buckets are wide; see `Buckets`.
        """
        edges = np.asarray(edges, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0) or not np.isfinite(edges).all():
            raise InvalidValue("buckets() takes at least two step boundaries that increase.")

        def sum_up() -> Buckets:
            series = self._get(name, "scalar", "array")
            first, last = steps_between(edges)
            inside = _alike(series.pieces(first, last))
            pieces = inside or series.pieces()[-1:]
            shape = pieces[-1].row.shape if pieces else ()
            if np.prod(shape) > COMPONENTS:
                raise InvalidValue(f"'{name}' has arrays of shape {shape}; only up to {COMPONENTS} components sum up.")
            return bucket(inside, edges, shape, self._contents.raw, self._contents.small)

        return self._settled(sum_up)

    def _settled(self, read: Callable[[], _T]) -> _T:
        """What `read` gives; again from a newer look if the writer rewrote the rows it needs meanwhile."""
        with self._lock:
            for _ in range(8):
                try:
                    return read()
                except Moved:
                    if not self._source.changed():
                        break
                    self._stale |= self._load()
            with self._contents.as_far_as_it_goes():
                return read()

    # ------------------------------------------------------------------ records
    def commands(self) -> list[CommandRecord]:
        """Every command with its outcome, in the order they were decided."""
        with self._lock:
            return list(self._commands)

    def pending(self) -> list[Command]:
        """Commands that wait for their outcome."""
        with self._lock:
            return [command for seq, command in self._asked.items() if seq not in self._decided]

    def events(self, kinds: Iterable[str] | None = None, after: int = 0) -> list[Event]:
        """Events with an id above `after`, of the given kinds (None: all)."""
        wanted = None if kinds is None else set(kinds)
        with self._lock:
            return [e for e in self._events if e.id > after and (wanted is None or e.kind in wanted)]

    def findings(self) -> list[Finding]:
        """The newest version of every finding, in the order they were first made."""
        found: dict[str, Finding] = {}
        for event in self.events(["finding"]):
            finding = Finding.from_json(event.payload)
            found[finding.key] = finding
        return list(found.values())

    def checkpoints(self) -> list[CheckpointRow]:
        """Finished checkpoints, in the order they were made."""
        with self._lock:
            return list(self._checkpoints)

    def export(self, path: Path) -> Path:
        """Scalars and small arrays as one Parquet table (signal, component, step, time, value); needs pyarrow."""
        from workbench.journal.export import write_parquet

        return write_parquet(self, path)


def _alike(pieces: list[Piece]) -> list[Piece]:
    """The pieces whose arrays have the shape and dtype of the last one's."""
    return [p for p in pieces if (p.row.dtype, p.row.shape) == (pieces[-1].row.dtype, pieces[-1].row.shape)]
