"""The writer's side of a series: a tail row rewritten in place, sealed when full, merged with its neighbours."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from workbench.journal.chunks import COLUMNS, MERGE, ChunkRow, Columns, capacity, encode

PUT = "INSERT OR REPLACE INTO chunk VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
PUT_DATA = "INSERT OR REPLACE INTO chunk_data VALUES (?,?,?)"


@dataclass(frozen=True)
class Tail:
    """What the writer knows of a series: `columns` fill the row `row` (None: not written yet).

    `start` values lie before it; `sealed` are the ids of the neighbours that wait to be merged. Immutable, so that a
    transaction that failed leaves the state that fits the file.
    """

    series: int
    kind: str
    start: int = 0
    row: int | None = None
    columns: Columns | None = None
    sealed: tuple[int, ...] = ()

    @property
    def last(self) -> float:
        """The last recorded step, -1 if there is none."""
        return -1.0 if self.columns is None else float(self.columns.steps[-1])


@dataclass
class Batch:
    """The rows one transaction writes. `ids` and `revs` hand out numbers that were never used."""

    connection: sqlite3.Connection
    attempt: int
    ids: Callable[[], int]
    revs: Callable[[], int]
    chunks: list[tuple[Any, ...]] = field(default_factory=list)
    data: list[tuple[Any, ...]] = field(default_factory=list)
    size: int = 0

    def put(self, tail: Tail, part: Columns, *, full: bool) -> int:
        """Write `part` at the tail's place and return its row's id."""
        row = self.ids() if tail.row is None else tail.row
        chunk, data = encode(row, tail.series, self.revs(), self.attempt, tail.start, part, full=full)
        self.chunks.append(chunk)
        self.data.append(data)
        self.size += len(data[2]) + len(data[1] or b"") + 200
        return row

    def write(self) -> None:
        """Send what `put` gathered to the file."""
        self.connection.executemany(PUT, self.chunks)
        self.connection.executemany(PUT_DATA, self.data)
        self.chunks.clear()
        self.data.clear()


def extend(tail: Tail, new: Columns, batch: Batch) -> Tail:
    """Add `new` (steps increasing; the first may repeat the last recorded one, which it then replaces)."""
    columns, keep = new, 0
    if tail.columns is not None:
        old = tail.columns
        if (old.values.dtype, old.values.shape[1:]) != (new.values.dtype, new.values.shape[1:]):
            # Another shape: the old rows stay as they are, and a new row begins. A repeated step keeps one value.
            if old.steps[-1] == new.steps[0] and len(old) > 1:
                batch.put(tail, old[:-1], full=False)
                old = old[:-1]
            if old.steps[-1] == new.steps[0]:
                tail = replace(tail, columns=None, sealed=())
            else:
                tail = replace(tail, start=tail.start + len(old), row=None, columns=None, sealed=())
        else:
            keep = len(old) - (old.steps[-1] == new.steps[0])
            columns = Columns.join([old[:keep], new])
    written = keep if tail.columns is not None and keep == len(tail.columns) else 0
    size = capacity(columns.values.dtype, columns.values.shape[1:])
    # Sealing waits for the value after the last, so that the last can still be replaced.
    while len(columns) > size:
        whole = not tail.sealed and size > 1 and len(columns) > MERGE * size
        n = MERGE * size if whole else size
        # A tail that the file already holds whole is sealed as it lies there.
        row = tail.row if tail.row is not None and n == written else batch.put(tail, columns[:n], full=whole)
        written = 0
        sealed = () if whole or size == 1 else (*tail.sealed, row)
        tail = replace(tail, start=tail.start + n, row=None, sealed=sealed)
        columns = columns[n:]
        if len(sealed) == MERGE:
            tail = _merge(tail, batch)
    row = batch.put(tail, columns, full=False)
    # A copy, or the small tail would keep the big block it was cut from alive.
    return replace(tail, row=row, columns=Columns(*map(np.array, (columns.steps, columns.times, columns.values))))


def joined(blocks: list[Columns]) -> Iterator[Columns]:
    """Neighbouring blocks of one shape and dtype, joined."""
    for _, run in itertools.groupby(blocks, key=lambda b: (b.values.dtype, b.values.shape[1:])):
        yield Columns.join(list(run))


def _merge(tail: Tail, batch: Batch) -> Tail:
    batch.write()
    rows = stored(batch.connection, tail.sealed)
    if rows is None:  # damaged on disk: leave the pieces as they are, readers name what is lost
        return replace(tail, sealed=())
    marks = ",".join("?" * len(tail.sealed))
    batch.connection.execute(f"DELETE FROM chunk WHERE id IN ({marks})", tail.sealed)
    batch.connection.execute(f"DELETE FROM chunk_data WHERE id IN ({marks})", tail.sealed)
    merged = Columns.join([columns for _, columns in rows])
    batch.put(replace(tail, start=rows[0][0].start, row=None), merged, full=True)
    return replace(tail, sealed=())


def stored(connection: sqlite3.Connection, ids: tuple[int, ...]) -> list[tuple[ChunkRow, Columns]] | None:
    """Rows and values of chunks, in order of steps; None if one is damaged or missing."""
    marks = ",".join("?" * len(ids))
    named = ", ".join(f"c.{name}" for name in COLUMNS.split(", "))
    both = "chunk c JOIN chunk_data d ON d.id = c.id"
    query = f"SELECT {named}, d.data FROM {both} WHERE c.id IN ({marks}) ORDER BY c.s0"
    found = connection.execute(query, ids).fetchall()
    rows = []
    for *values, blob in found:
        row = ChunkRow.parse(tuple(values))
        columns = None if row is None else row.columns(blob)
        if row is None or columns is None:
            return None
        rows.append((row, columns))
    return rows if len(rows) == len(ids) else None


def restored(connection: sqlite3.Connection, series: int, kind: str, attempt: int) -> Tail:
    """The state of a series whose attempt goes on in a file written earlier."""
    found = connection.execute(
        f"SELECT {COLUMNS} FROM chunk WHERE series = ? AND attempt = ? ORDER BY s0 DESC LIMIT {2 * MERGE}",
        (series, attempt),
    ).fetchall()
    rows = [row for row in map(ChunkRow.parse, found) if row is not None]
    if not rows:
        return Tail(series, kind)
    last = rows[0]
    whole = stored(connection, (last.id,))
    if whole is None or last.stats is not None:
        return Tail(series, kind, start=last.start + last.n)
    sealed = []
    for row in rows[1:]:
        if row.stats is not None or (row.dtype, row.shape) != (last.dtype, last.shape):
            break
        sealed.append(row.id)
    return Tail(series, kind, last.start, last.id, whole[0][1], tuple(reversed(sealed[: MERGE - 1])))
