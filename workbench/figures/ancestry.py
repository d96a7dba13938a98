"""What a forked run shows of the time before its fork: its ancestors' records, read where they lie."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from workbench.figures.chartdata import Array
from workbench.figures.settled import Columns, columns
from workbench.runs import Run
from workbench.runs.lineage import line

_ancestors: WeakKeyDictionary[Run, tuple[Run, ...]] = WeakKeyDictionary()


def ancestors(run: Run) -> tuple[Run, ...]:
    """The run it was forked from, that one's, and so on as far as they were not deleted; opened once.

    What lies before the fork step was recorded before the fork was made, so that nobody needs to look for news in them.
    """
    if run not in _ancestors:
        _ancestors[run] = tuple(line(run))[1:]
    return _ancestors[run]


def forget(run: Run) -> None:
    """Close what was opened of a run's ancestors."""
    for ancestor in _ancestors.pop(run, ()):
        ancestor.reader.close()


def trail(run: Run, at: int | None = None) -> Iterator[tuple[Run, int | None]]:
    """The run, then its ancestors, each with the last of its steps that belongs to the run's past (None: all)."""
    for one in (run, *ancestors(run)):
        yield one, at
        if one.fork_step is not None:
            at = one.fork_step - 1 if at is None else min(at, one.fork_step - 1)


def kind_of(run: Run, name: str) -> str | None:
    """What kind of signal the run or an ancestor recorded under this name; None: nothing."""
    return next((k for r, _ in trail(run) if (k := r.reader.names().get(name))), None)


def array_at(run: Run, name: str, at: int | None) -> tuple[int, NDArray[Any]] | None:
    """The newest array at or before a step, with its step; None if there is none."""
    for r, last in trail(run, at):
        if r.reader.names().get(name) == "array" and (found := r.reader.array_at(name, last)) is not None:
            return found
    return None


def text_at(run: Run, name: str, at: int | None) -> tuple[int, str] | None:
    """The newest text at or before a step, with its step; None if there is none."""
    for r, last in trail(run, at):
        if r.reader.names().get(name) == "text" and (found := r.reader.text_at(name, last)) is not None:
            return found
    return None


def texts_about(run: Run, name: str, step: int) -> tuple[int | None, int | None]:
    """The steps of the newest text before a step and of the oldest after it; None where there is none."""
    before = text_at(run, name, step - 1)
    after = [
        points[0].step
        for r, last in trail(run)
        if r.reader.names().get(name) == "text" and (points := r.reader.texts(name, step + 1, last))
    ]
    return None if before is None else before[0], min(after, default=None)


def scalar_at(run: Run, name: str, at: int | None) -> float | None:
    """The newest value of a scalar at or before a step; None if there is none."""
    found = point_at(run, name, at)
    return None if found is None else found[1]


def point_at(run: Run, name: str, at: int | None) -> tuple[int, float] | None:
    """The newest value of a scalar at or before a step, with its step; None if there is none."""
    for r, last in trail(run, at):
        reader = r.reader
        if reader.names().get(name) != "scalar" or (extent := reader.extent(name)) is None:
            continue
        step = extent[1] if last is None else min(last, extent[1])
        points = reader.scalars(name, step, step)
        if not len(points.values):  # between two recorded steps: look back from the slider
            points = reader.scalars(name, None, step)
        if len(points.values):
            return int(points.steps[-1]), float(points.values[-1])
    return None


def history(run: Run, name: str, bounds: Array, apart: Collection[str] = ()) -> Columns | None:
    """The buckets of a signal, with the ancestors' before the fork step; None if nobody recorded it.

    Args:
        bounds: boundaries of the buckets, shape (n + 1,).
        apart: ids of runs that are drawn themselves: the run's past is theirs to show from there on.
    """
    whole = columns(run.reader, name, bounds) if name in run.reader.names() else None
    for r, last in trail(run):
        if last is None:
            continue
        if r.id in apart:
            break
        if name not in r.reader.names() or last < bounds[0]:
            continue
        cut = np.append(bounds[bounds <= last], last + 1.0)  # its last bucket ends where the fork begins
        cut = cut if cut[-1] <= bounds[-1] else bounds
        past = columns(r.reader, name, cut)
        whole = _padded(past, len(bounds) - 1) if whole is None else _together(whole, past)
    return whole


def _padded(past: Columns, rows: int) -> Columns:
    """As many rows as the chart has buckets; nothing in the new ones."""
    missing = rows - len(past.mean)

    def fill(values: NDArray[Any], empty: float) -> NDArray[Any]:
        return np.concatenate([values, np.full((missing, values.shape[1]), empty, values.dtype)])

    return replace(
        past, count=fill(past.count, 0), mean=fill(past.mean, np.nan), low=fill(past.low, np.nan),
        high=fill(past.high, np.nan), nonfinite=fill(past.nonfinite, 0),
    )  # fmt: skip


def _together(own: Columns, past: Columns) -> Columns:
    """Both runs' values in common buckets: only the one in which the fork lies holds values of both."""
    if own.mean.shape[1] != past.mean.shape[1]:
        if np.isfinite(own.mean).any():
            return own  # another shape since the fork: there is no common curve
        return _padded(past, len(own.mean))
    past = _padded(past, len(own.mean))
    count = own.count + past.count
    sums = np.nan_to_num(own.mean) * own.count + np.nan_to_num(past.mean) * past.count
    mean = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)
    return Columns(
        count, mean, np.fmin(own.low, past.low), np.fmax(own.high, past.high), own.nonfinite + past.nonfinite,
        np.union1d(own.marks, past.marks), own.vector or past.vector,
    )  # fmt: skip
