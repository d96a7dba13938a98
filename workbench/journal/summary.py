"""Statistics of stretches of a series, and statistics of statistics.

Shape legend: n values, k components (1 for scalars), m stretches. Values are (k, n), so that each reduction runs over
contiguous memory; a `Summary` holds (FIELDS, k, m). All statistics but `NONFINITE` and `NF_STEP` are over finite
values and NaN where there are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.journal.records import Floats

COUNT, NONFINITE, MIN, MAX, MEAN, FIRST, LAST, MIN_STEP, MAX_STEP, NF_STEP = range(10)
FIELDS = 10
BLOCK = 64  # values in one micro-statistic
_SCALE = 2.0**-64  # keeps a sum of huge values finite; a power of two, so nothing is rounded


@dataclass(frozen=True)
class Summary:
    """Statistics of m stretches: first and last step (m,), fields (FIELDS, k, m)."""

    s0: Floats
    s1: Floats
    fields: Floats

    def __len__(self) -> int:
        return len(self.s0)

    def pack(self) -> bytes:
        """As bytes, for `unpack`."""
        return self.s0.tobytes() + self.s1.tobytes() + self.fields.tobytes()

    @classmethod
    def unpack(cls, data: memoryview, k: int) -> Summary:
        """The summary of k components that `pack` wrote."""
        flat = np.frombuffer(data, dtype="<f8")
        m = len(flat) // (2 + FIELDS * k)
        return cls(flat[:m], flat[m : 2 * m], flat[2 * m :].reshape(FIELDS, k, m))

    @classmethod
    def join(cls, parts: list[Summary]) -> Summary:
        """One after the other."""
        return cls(
            np.concatenate([p.s0 for p in parts]),
            np.concatenate([p.s1 for p in parts]),
            np.concatenate([p.fields for p in parts], axis=2),
        )


def _lengths(starts: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    return np.diff(starts, append=n)


def _mean(values: Floats, weights: Any, starts: NDArray[np.intp], low: Floats, high: Floats) -> Floats:
    """Sums of `values * weights` over the stretches, whatever their size; kept between the extremes."""
    total = np.add.reduceat(values * weights, starts, axis=1)
    return np.clip(total, low, high)


def summarise(steps: Floats, values: Floats, starts: NDArray[np.intp]) -> Summary:
    """Statistics of the stretches that begin at `starts` (increasing, from 0): steps (n,), values (k, n)."""
    n = len(steps)
    lengths = _lengths(starts, n)
    ends = starts + lengths - 1
    of = np.repeat(np.arange(len(starts)), lengths)
    out = np.empty((FIELDS, len(values), len(starts)))
    finite = np.isfinite(values)
    with np.errstate(all="ignore"):
        if finite.all():
            low, high, plain = values, values, values
            out[COUNT], out[NONFINITE], out[NF_STEP] = lengths, 0, np.nan
            out[FIRST], out[LAST] = values[:, starts], values[:, ends]
        else:
            low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
            plain = np.where(finite, values, 0.0)
            out[COUNT] = np.add.reduceat(finite, starts, axis=1, dtype=np.int64)
            out[NONFINITE] = lengths - out[COUNT]
            out[NF_STEP] = np.minimum.reduceat(np.where(finite, np.inf, steps), starts, axis=1)
            place = np.arange(n)
            first = np.minimum.reduceat(np.where(finite, place, n), starts, axis=1)
            last = np.maximum.reduceat(np.where(finite, place, -1), starts, axis=1)
            out[FIRST] = np.take_along_axis(values, np.minimum(first, n - 1), axis=1)
            out[LAST] = np.take_along_axis(values, np.maximum(last, 0), axis=1)
        out[MIN] = np.minimum.reduceat(low, starts, axis=1)
        out[MAX] = np.maximum.reduceat(high, starts, axis=1)
        total = np.add.reduceat(plain, starts, axis=1)
        mean = total / out[COUNT]
        if not np.isfinite(total).all():
            mean = np.add.reduceat(plain * _SCALE, starts, axis=1) / out[COUNT] / _SCALE
        out[MEAN] = np.clip(mean, out[MIN], out[MAX])
        out[MIN_STEP] = np.minimum.reduceat(np.where(low == out[MIN][:, of], steps, np.inf), starts, axis=1)
        out[MAX_STEP] = np.minimum.reduceat(np.where(high == out[MAX][:, of], steps, np.inf), starts, axis=1)
        out[NF_STEP][out[NONFINITE] == 0] = np.nan
        empty = out[COUNT] == 0
        for field in (MIN, MAX, MEAN, FIRST, LAST, MIN_STEP, MAX_STEP):
            out[field][empty] = np.nan
    return Summary(steps[starts], steps[ends], out)


def combine(parts: Summary, starts: NDArray[np.intp]) -> Summary:
    """Statistics of runs of neighbouring stretches; each run begins at one of `starts` (increasing, from 0)."""
    f = parts.fields
    n = len(parts)
    lengths = _lengths(starts, n)
    of = np.repeat(np.arange(len(starts)), lengths)
    out = np.empty((FIELDS, f.shape[1], len(starts)))
    filled = f[COUNT] > 0
    with np.errstate(all="ignore"):
        out[COUNT] = np.add.reduceat(f[COUNT], starts, axis=1)
        out[NONFINITE] = np.add.reduceat(f[NONFINITE], starts, axis=1)
        out[MIN] = np.fmin.reduceat(f[MIN], starts, axis=1)
        out[MAX] = np.fmax.reduceat(f[MAX], starts, axis=1)
        # Weighted means instead of sums: sums of huge values would overflow.
        weights = np.where(filled, f[COUNT] / out[COUNT][:, of], 0.0)
        out[MEAN] = _mean(np.where(filled, f[MEAN], 0.0), weights, starts, out[MIN], out[MAX])
        place = np.arange(n)
        first = np.minimum.reduceat(np.where(filled, place, n), starts, axis=1)
        last = np.maximum.reduceat(np.where(filled, place, -1), starts, axis=1)
        out[FIRST] = np.take_along_axis(f[FIRST], np.minimum(first, n - 1), axis=1)
        out[LAST] = np.take_along_axis(f[LAST], np.maximum(last, 0), axis=1)
        at_low = np.where(f[MIN] == out[MIN][:, of], f[MIN_STEP], np.inf)
        at_high = np.where(f[MAX] == out[MAX][:, of], f[MAX_STEP], np.inf)
        out[MIN_STEP] = np.minimum.reduceat(at_low, starts, axis=1)
        out[MAX_STEP] = np.minimum.reduceat(at_high, starts, axis=1)
        out[NF_STEP] = np.fmin.reduceat(f[NF_STEP], starts, axis=1)
        empty = out[COUNT] == 0
        for field in (MIN, MAX, MEAN, FIRST, LAST, MIN_STEP, MAX_STEP):
            out[field][empty] = np.nan
    return Summary(parts.s0[starts], parts.s1[starts + lengths - 1], out)


def micro(steps: Floats, values: Floats) -> Summary:
    """One statistic for each `BLOCK` neighbouring values: steps (n,), values (k, n)."""
    return summarise(steps, values, np.arange(0, len(steps), BLOCK))
