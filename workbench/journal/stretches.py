"""A series as its rows are known to a reader: which rows count, and their statistics between step boundaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.journal.chunks import ChunkRow, Columns, components
from workbench.journal.records import Buckets, Floats
from workbench.journal.summary import (
    COUNT,
    FIELDS,
    LAST,
    MAX,
    MAX_STEP,
    MEAN,
    MIN,
    MIN_STEP,
    NF_STEP,
    NONFINITE,
    Summary,
    combine,
    summarise,
)

_FEW = 16  # steps with a non-finite value that are named one by one


@dataclass
class Series:
    """The rows of one series, by attempt, in order of steps."""

    id: int
    name: str
    kind: str
    rows: dict[int, dict[int, ChunkRow]] = field(default_factory=dict)  # attempt → id → row

    def add(self, row: ChunkRow) -> list[int]:
        """Take a row in; it replaces the rows of its attempt that begin inside it. Returns the ids that went."""
        mine = self.rows.setdefault(row.attempt, {})
        end = row.start + row.n
        gone = [i for i, r in mine.items() if i != row.id and r.rev < row.rev and row.start <= r.start < end]
        for number in gone:
            del mine[number]
        mine[row.id] = row
        return gone

    def ordered(self, attempt: int) -> list[ChunkRow]:
        """Rows of an attempt in order of steps."""
        return sorted(self.rows.get(attempt, {}).values(), key=lambda r: r.start)

    def visible(self, first: float, last: float) -> list[tuple[ChunkRow, float]]:
        """Rows with steps in [first, last], each with the step from which a later attempt takes its place (or inf).

        A later attempt hides what an earlier one recorded between the later one's own first and last step.
        """
        shown: list[tuple[ChunkRow, float]] = []
        hidden: list[tuple[float, float]] = []
        for attempt in sorted(self.rows, reverse=True):
            rows = self.ordered(attempt)
            for row in rows:
                if row.s1 < first or row.s0 > last or any(a <= row.s0 and row.s1 <= b for a, b in hidden):
                    continue
                cut = min((a for a, b in hidden if a <= row.s1 and row.s0 <= b), default=math.inf)
                shown.append((row, cut))
            if rows:
                hidden.append((rows[0].s0, rows[-1].s1))
        return sorted(shown, key=lambda pair: (pair[0].s0, pair[0].attempt))

    def extent(self) -> tuple[int, int, int] | None:
        """First and last step and the number of values (those of hidden attempts included), or None without any."""
        every = [r for rows in self.rows.values() for r in rows.values()]
        if not every:
            return None
        return min(r.s0 for r in every), max(r.s1 for r in every), sum(r.n for r in every)

    def gaps(self) -> list[tuple[int, int]]:
        """(values missing, step before which they are missing) wherever a row has vanished."""
        found = []
        for attempt in self.rows:
            place = 0
            for row in self.ordered(attempt):
                if row.start > place:
                    found.append((row.start - place, row.s0))
                place = row.start + row.n
        return found


def latest(parts: Sequence[tuple[int, Columns]]) -> Columns:
    """(attempt, columns) pairs as one block in order of steps; of a repeated step the latest attempt's value."""
    joined = Columns.join([c for _, c in parts])
    attempts = np.concatenate([np.full(len(c), a) for a, c in parts])
    order = np.lexsort((attempts, joined.steps))
    steps = joined.steps[order]
    keep = np.append(steps[1:] != steps[:-1], True)
    return joined[order[keep]]


def bucket(
    rows: Sequence[tuple[ChunkRow, float]],
    edges: Floats,
    raw: Callable[[ChunkRow], Columns | None],
    micro: Callable[[ChunkRow], Summary | None],
) -> Buckets:
    """The rows' values summed up between `edges`, from the coarsest statistics that are fine enough."""
    n = len(edges) - 1
    width = (edges[-1] - edges[0]) / n
    shape = rows[-1][0].shape if rows else ()
    k = math.prod(shape)
    parts: list[Summary] = []
    values: list[tuple[int, Columns]] = []
    exact = True
    for row, cut in rows:
        if row.shape != shape:
            continue  # another shape has no place on the same chart
        part = None
        if row.stats is not None and cut == math.inf:
            span = row.s1 - row.s0
            if span <= width / 2:
                part = Summary(np.array([row.s0], float), np.array([row.s1], float), row.stats[:, :, None])
            elif span * 64 / row.n <= width:
                part = micro(row)
        if part is not None:
            exact = False
            parts.append(part)
        elif (columns := raw(row)) is not None:
            values.append((row.attempt, columns))
    if values:
        joined = latest(values)
        inside = (joined.steps >= edges[0]) & (joined.steps <= edges[-1])
        joined = joined[inside]
        if len(joined):
            place = _place(joined.steps, edges)
            parts.append(summarise(joined.steps, components(joined.values), _starts(place)))
    return _scattered(parts, edges, k, shape, exact)


def _scattered(parts: list[Summary], edges: Floats, k: int, shape: tuple[int, ...], exact: bool) -> Buckets:
    n = len(edges) - 1
    out = np.full((FIELDS, k, n), np.nan)
    out[COUNT] = out[NONFINITE] = 0
    bad: Floats = np.empty(0)
    if parts:
        every = Summary.join(parts)
        order = np.argsort(every.s0, kind="stable")
        order = order[(every.s1[order] >= edges[0]) & (every.s0[order] <= edges[-1])]
        every = Summary(every.s0[order], every.s1[order], every.fields[:, :, order])
        if len(every):
            place = _place(every.s0, edges)
            starts = _starts(place)
            out[:, :, place[starts]] = combine(every, starts).fields
            steps = np.fmin.reduce(every.fields[NF_STEP], axis=0)
            bad = np.unique(steps[np.isfinite(steps)])[:_FEW]
    flat = (lambda f: out[f].T) if shape else (lambda f: out[f][0])
    return Buckets(
        edges=edges, count=flat(COUNT).astype(np.int64), mean=flat(MEAN), min=flat(MIN), max=flat(MAX), last=flat(LAST),
        min_step=flat(MIN_STEP), max_step=flat(MAX_STEP), nonfinite=flat(NONFINITE).astype(np.int64),
        nonfinite_steps=bad.astype(np.int64), exact=exact,
    )  # fmt: skip


def _place(steps: Floats, edges: Floats) -> NDArray[np.intp]:
    return np.clip(np.searchsorted(edges, steps, side="right") - 1, 0, len(edges) - 2)


def _starts(place: NDArray[Any]) -> NDArray[np.intp]:
    return np.flatnonzero(np.append(True, place[1:] != place[:-1]))
