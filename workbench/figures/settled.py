"""Buckets that are full stay as they are: a chart that grows reads only its newest ones from the journal."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from workbench.figures.chartdata import Array
from workbench.journal import Reader

_MOST = 512  # grids kept a run (a series in a chart is one); zooms and widths come and go


@dataclass(frozen=True)
class Columns:
    """What a chart draws of a signal, one row a bucket and one column a component: all of shape (n, k).

    `count`, `mean`, `low`, `high` are over finite values (NaN where there is none); `nonfinite` counts the others.
    `marks` are the first steps with non-finite values; `vector` tells one component from a scalar.
    """

    count: Array
    mean: Array
    low: Array
    high: Array
    nonfinite: NDArray[np.int64]
    marks: NDArray[np.int64]
    vector: bool


@dataclass(frozen=True)
class _Kept:
    """A signal's buckets as last read; the first `full` of them are final."""

    bounds: Array
    attempt: object
    extent: tuple[int, int, int] | None
    full: int
    columns: Columns


_kept: WeakKeyDictionary[Reader, OrderedDict[tuple[object, ...], _Kept]] = WeakKeyDictionary()


def columns(reader: Reader, name: str, bounds: Array) -> Columns:
    """The buckets of a scalar or vector signal between `bounds` (n + 1,), as `Reader.buckets` gives them."""
    grids = _kept.setdefault(reader, OrderedDict())
    key, attempt, extent = (name, bounds[0], bounds[1]), reader.meta.get("attempt"), reader.extent(name)
    old = grids.pop(key, None)
    if old is not None and (old.attempt != attempt or not _same_grid(old.bounds, bounds)):
        old = None
    if old is not None and old.extent == extent and len(old.bounds) == len(bounds):
        grids[key] = old
        return old.columns
    full = min(old.full, len(bounds) - 2) if old is not None else 0
    whole = _read(reader, name, bounds[full:])
    if old is not None and full:
        whole = _join(_head(old.columns, full), whole)
    # A bucket is full once its signal has gone on past it; a signal's last step may still be recorded anew.
    full = 0 if extent is None else min(int(np.searchsorted(bounds, extent[1], side="right")) - 1, len(bounds) - 1)
    grids[key] = _Kept(bounds, attempt, extent, max(full, 0), whole)
    while len(grids) > _MOST:
        grids.popitem(last=False)
    return whole


def _same_grid(old: Array, new: Array) -> bool:
    both = min(len(old), len(new))
    return bool(np.array_equal(old[:both], new[:both]))


def _read(reader: Reader, name: str, bounds: Array) -> Columns:
    # Half a step back: the reader counts a step that lies on the last edge into the last bucket.
    found = reader.buckets(name, bounds - 0.5)
    rows = len(bounds) - 1
    return Columns(
        found.count.reshape(rows, -1).astype(np.float64), found.mean.reshape(rows, -1), found.min.reshape(rows, -1),
        found.max.reshape(rows, -1), found.nonfinite.reshape(rows, -1), found.nonfinite_steps, found.mean.ndim == 2,
    )  # fmt: skip


def _join(old: Columns, new: Columns) -> Columns:
    if old.mean.shape[1] != new.mean.shape[1]:  # the newest buckets are empty, and so of no known width
        new = _widened(new, old.mean.shape[1])
    return Columns(
        np.concatenate([old.count, new.count]), np.concatenate([old.mean, new.mean]),
        np.concatenate([old.low, new.low]), np.concatenate([old.high, new.high]),
        np.concatenate([old.nonfinite, new.nonfinite]), np.union1d(old.marks, new.marks),
        old.vector or new.vector,
    )  # fmt: skip


def _widened(new: Columns, size: int) -> Columns:
    rows = new.mean.shape[0]
    none = np.full((rows, size), np.nan)
    zero = np.zeros((rows, size))
    return Columns(zero, none, none, none, zero.astype(np.int64), new.marks, new.vector)


def _head(whole: Columns, rows: int) -> Columns:
    return Columns(
        whole.count[:rows], whole.mean[:rows], whole.low[:rows], whole.high[:rows], whole.nonfinite[:rows],
        whole.marks, whole.vector,
    )  # fmt: skip
