"""The bucket grid of a chart: at most one bucket a pixel column, edges on whole steps, shared by all its series."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from workbench.figures.chartdata import Array
from workbench.runs import Run


def reached(run: Run) -> int:
    """The last step there is to show of a run: of a fork that has not begun yet, its parent's last before the fork."""
    return max(run.step, (run.fork_step or 0) - 1)


def domain(runs: Iterable[Run]) -> tuple[float, float]:
    """First and last step of the x axis: the whole run, halved while a young run would fill less than half of it.

    Halving, rather than following the newest step, keeps the axis (and so the buckets) still between a few jumps; so
    does rounding up the end of a run that trains on past its planned length, or has none.
    """
    planned, last = 1, 0
    for run in runs:
        length, step = run.steps or 0, reached(run)
        if step >= length:
            length = step + 1 if run.ended else _round_up(step + 1)
        planned, last = max(planned, length), max(last, step)
    end = float(planned)
    while end > 16 and last < 0.45 * end:
        end /= 2
    return 0.0, float(math.ceil(end))


def _round_up(steps: int) -> int:
    """The next number of one digit and zeros (1.5 too): at most half as much again."""
    decade: int = 10 ** (len(str(steps)) - 1)
    return next(n for m in (10, 15, 20, 30, 40, 50, 60, 80, 100) if (n := -(-m * decade // 10)) >= steps)


def edges(low: float, high: float, width: int, last: int) -> Array:
    """Bucket boundaries, shape (n + 1,), of at most `width` buckets over the steps low … high, up to step `last`.

    Bucket i holds the steps s with ``edges[i] <= s < edges[i + 1]``. Boundaries depend on the ends and the width
    alone, so that a bucket, once full, stays as it is while the run goes on.
    """
    first, beyond = math.floor(low), math.ceil(high) + 1
    count = max(1, min(width, beyond - first))
    whole = np.round(np.linspace(first, beyond, count + 1))
    used = int(np.searchsorted(whole, last, side="right"))  # buckets that begin at or before the last step
    return whole[: max(used, 1) + 1]


def centres(bounds: Array) -> Array:
    """The middle step of each bucket, shape (n,)."""
    return (bounds[:-1] + bounds[1:] - 1) / 2
