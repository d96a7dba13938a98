"""A series between step boundaries, from the coarsest statistics that serve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.journal.chunks import Columns, components
from workbench.journal.index import Piece
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
    micro,
    summarise,
)

FINE = 128  # values a bucket from which statistics stand for the values
_MARKS = 64  # non-finite steps that are named


def steps_between(edges: Floats) -> tuple[int, int]:
    """The first and the last whole step with ``edges[0] <= step < edges[-1]``."""
    return math.ceil(edges[0]), math.ceil(edges[-1]) - 1


def clip(columns: Columns, lo: float, hi: float) -> Columns:
    """The values at steps from `lo` to `hi`."""
    if columns.steps[0] >= lo and columns.steps[-1] <= hi:
        return columns
    return columns[np.searchsorted(columns.steps, lo, "left") : np.searchsorted(columns.steps, hi, "right")]


def bucket(
    pieces: list[Piece],
    edges: Floats,
    shape: tuple[int, ...],
    raw: Callable[[list[Piece]], dict[int, Columns]],
    small: Callable[[list[Piece]], dict[int, Summary]],
) -> Buckets:
    """Sum up `pieces` (in order of steps, all of `shape`) between `edges` (n+1, increasing).

    `raw` and `small` give values and micro-statistics by row id; what is damaged is absent.
    """
    low, high = steps_between(edges)
    width = sum(p.row.n * _share(p, low, high) for p in pieces) / (len(edges) - 1)
    if width < FINE:
        steps, values = _values(pieces, low, high, raw(pieces))
        place = _places(edges, steps)
        found = summarise(steps, values, _starts(place)) if len(steps) else None
        broken = steps[~np.isfinite(values).all(axis=0)] if len(steps) else steps
        return _spread(found, place[_starts(place)], edges, shape, broken, exact=True)
    coarse, cut, read = [], [], []
    for piece in pieces:
        if piece.row.stats is None or not piece.whole or piece.lo < low or piece.hi > high:
            read.append(piece)
        elif _places(edges, piece.lo) == _places(edges, piece.hi):
            coarse.append(piece)
        else:
            cut.append(piece)
    parts: list[Summary] = []
    if coarse:
        fields = np.stack([p.row.stats for p in coarse if p.row.stats is not None], axis=2)
        parts.append(Summary(_steps(p.lo for p in coarse), _steps(p.hi for p in coarse), fields))
    parts += small(cut).values()
    values_of = raw(read)
    for piece in read:
        steps, values = _values([piece], low, high, values_of)
        if len(steps):
            parts.append(micro(steps, values))
    if not parts:
        return _spread(None, np.empty(0, np.intp), edges, shape, np.empty(0), exact=False)
    blocks = Summary.join(parts)
    order = np.argsort(blocks.s0, kind="stable")
    blocks = Summary(blocks.s0[order], blocks.s1[order], blocks.fields[:, :, order])
    place = _places(edges, (blocks.s0 + blocks.s1) / 2)  # a block cut by an edge goes where its middle lies
    starts = _starts(place)
    return _spread(combine(blocks, starts), place[starts], edges, shape, blocks.fields[NF_STEP].ravel(), exact=False)


def _values(pieces: list[Piece], low: float, high: float, found: dict[int, Columns]) -> tuple[Floats, Floats]:
    """Steps (n,) and values (k, n) of the pieces' values from `low` to `high`."""
    parts = [clip(found[p.row.id], max(low, p.lo), min(high, p.hi)) for p in pieces if p.row.id in found]
    parts = [part for part in parts if len(part)]
    if not parts:
        return np.empty(0), np.empty((0, 0))
    return np.concatenate([p.steps for p in parts]), np.concatenate([components(p.values) for p in parts], axis=1)


def _share(piece: Piece, low: float, high: float) -> float:
    return max(0.0, min(piece.hi, high) - max(piece.lo, low) + 1) / (piece.row.s1 - piece.row.s0 + 1)


def _steps(of: Iterable[int]) -> Floats:
    return np.fromiter(of, dtype=np.float64)


def _places(edges: Floats, steps: Any) -> NDArray[np.intp]:
    return np.asarray(np.searchsorted(edges, steps, "right") - 1)


def _starts(place: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.flatnonzero(np.diff(place, prepend=-1))


def _spread(
    found: Summary | None,
    at: NDArray[np.intp],
    edges: Floats,
    shape: tuple[int, ...],
    broken: Floats,
    *,
    exact: bool,
) -> Buckets:
    """Put the statistics of the buckets `at` in their places; scalars have no axis of components."""
    n, k = len(edges) - 1, int(np.prod(shape, dtype=int))
    out = np.full((FIELDS, n, k), np.nan)
    out[COUNT] = out[NONFINITE] = 0
    if found is not None:
        out[:, at] = found.fields.transpose(0, 2, 1)
    if not shape:
        out = out[:, :, 0]
    return Buckets(
        edges=edges,
        count=out[COUNT].astype(np.int64),
        mean=out[MEAN],
        min=out[MIN],
        max=out[MAX],
        last=out[LAST],
        min_step=out[MIN_STEP],
        max_step=out[MAX_STEP],
        nonfinite=out[NONFINITE].astype(np.int64),
        nonfinite_steps=np.unique(broken[np.isfinite(broken)])[:_MARKS].astype(np.int64),
        exact=exact,
    )
