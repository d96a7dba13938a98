"""One dot a run: the last value of one signal against that of another; of two vectors one dot a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.cards import Series
from workbench.figures.ancestry import array_at, history, point_at
from workbench.figures.chartdata import Array, Dots, ScatterData
from workbench.figures.charts import Request, builds, waiting
from workbench.figures.grid import centres
from workbench.figures.lines import component_label, open_range
from workbench.runs import Run

_WORDS = 3  # values named of each of two runs that are called the same
Found = tuple[int, Array, bool]  # step, values (n,), whether a vector


@builds("scatter")
def scatter(request: Request, common: dict[str, Any]) -> ScatterData:
    """The view's first signal to the right, its second upwards, at the newest step or the time slider's.

    Each of the two values is the last that was recorded; the way there (`View.path`) pairs the means of the buckets.
    What has no place on the axes is named in the chart's note.
    """
    declared = request.view.lines()
    if len(declared) != 2:
        words = f"A scatter takes two signals, x and y; the view {request.view.id} names {len(declared)}."
        return ScatterData(**{**common, "empty": words})
    apart, series, missing = _told_apart(request.runs), [], []
    for run in request.runs:
        x, y = (_last(run, s.signal, request.at) for s in declared)
        if x is None or y is None:
            missing.append(f"{run.label}: nothing yet")
            continue
        dots, why = _dots(request, run, x, y, apart.get(run.id, ""))
        series += dots
        missing += [f"{run.label}: {why}"] if why else []
    empty = common["empty"] or (None if series else waiting(request, [s.signal for s in declared]))
    if not series and missing and not all(m.endswith("nothing yet") for m in missing):
        empty = "; ".join(missing) + "."
    (xlabel, xunit), (ylabel, yunit) = (_name(request, s) for s in declared)
    ydomain = common["ydomain"] or open_range(request.view.range, [d.y for d in series])
    steps = [d.step for d in series]
    return ScatterData(
        **{**common, "empty": empty, "ydomain": ydomain, "step": max(steps, default=None)},
        note=f"not drawn: {', '.join(missing)}" if series and missing else None,
        xlabel=xlabel, xunit=xunit, ylabel=ylabel, yunit=yunit, series=tuple(series),
    )  # fmt: skip


def _last(run: Run, name: str, at: int | None) -> Found | None:
    """The last value at or before a step: of a scalar or of a vector."""
    if (scalar := point_at(run, name, at)) is not None:
        return scalar[0], np.array([scalar[1]]), False
    if (array := array_at(run, name, at)) is not None:
        return array[0], np.asarray(array[1], dtype=np.float64).ravel(), True
    return None


def _dots(request: Request, run: Run, x: Found, y: Found, apart: str) -> tuple[list[Dots], str]:
    """A run's dots, and what of them cannot be drawn."""
    first, second = request.view.lines()
    if x[1].size != y[1].size:
        return [], f"{first.signal} has {x[1].size} values and {second.signal} {y[1].size}"
    there = np.isfinite(x[1]) & np.isfinite(y[1])
    why = "" if there.all() else "not finite"
    if request.view.scale == "log":
        why = why or ("" if (y[1][there] > 0).all() else "not above 0, on a log axis")
        there &= y[1] > 0
    labels: tuple[str, ...] = ()
    if y[2]:
        signal = request.signal(second.signal)
        labels = tuple(component_label(signal, int(i)) for i in np.flatnonzero(there))
        why = why and f"{int((~there).sum())} of {there.size} {why}"
    if not there.any():
        return [], why
    path = None if y[2] or not request.view.path else _path(request, run, x, y)
    dots = Dots(
        run.id, run.id, run.label, {"run": request.colors[run.id]}, x[1][there], y[1][there],
        max(x[0], y[0]), labels, apart, *(path or (None, None)),
    )  # fmt: skip
    return [dots], why


def _path(request: Request, run: Run, x: Found, y: Found) -> tuple[Array, Array] | None:
    """The way to a run's dot, on the chart's buckets: each signal stands still until its next value."""
    names = [s.signal for s in request.view.lines()]
    found = [history(run, name, request.bounds, apart={r.id for r in request.runs}) for name in names]
    if any(f is None or f.mean.shape[1] != 1 for f in found):
        return None
    ends = max(x[0], y[0])
    rows = centres(request.bounds) <= ends
    columns = [f.mean[:, 0][: rows.size][rows] for f in found if f is not None]
    news = ~np.isnan(columns[0]) | ~np.isnan(columns[1])
    xs, ys = (_held(c)[news] for c in columns)
    there = np.isfinite(xs) & np.isfinite(ys) & ((ys > 0) | (request.view.scale != "log"))
    xs, ys = np.append(xs[there], x[1]), np.append(ys[there], y[1])
    return (xs, ys) if xs.size > 2 else None


def _held(values: Array) -> Array:
    """Each value until the next; NaN before the first."""
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(values.size)))
    return np.where(last >= 0, values[last], np.nan)


def _name(request: Request, series: Series) -> tuple[str, str]:
    """A signal's name and unit, for its axis."""
    return series.label or series.signal.replace("_", " "), request.signal(series.signal).unit or request.view.unit


def _told_apart(runs: Sequence[Run]) -> dict[str, str]:
    """Run id → what sets it apart from runs called the same: seed and values, as in a sweep."""
    words: dict[str, str] = {}
    for label in {r.label for r in runs}:
        alike = [r for r in runs if r.label == label]
        if len(alike) < 2:
            continue
        values = {r.id: {"seed": r.seed, **r.values()} for r in alike}
        first = values[alike[0].id]
        differ = [n for n in first if any(v.get(n) != first[n] for v in values.values())][:_WORDS]
        words |= {r.id: ", ".join(f"{n} {_short(values[r.id].get(n))}" for n in differ) for r in alike}
    return words


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
