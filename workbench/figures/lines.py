"""What runs along the steps: lines with min–max bands, stacked areas, heat maps. One bucket grid a chart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.cards import Series, Signal
from workbench.figures import grid
from workbench.figures.ancestry import history, kind_of
from workbench.figures.chartdata import Array, Axis, Band, Color, GridData, Line, LineData
from workbench.figures.charts import Request, builds, waiting
from workbench.figures.palette import PARTS
from workbench.runs import Run

_MARKS = 50  # non-finite steps named a series; the panel merges what lies closer than a few pixels anyway


def component_label(signal: Signal, index: int) -> str:
    """Name of one component of a vector signal: ``layer 4``, a class's name."""
    if index < len(signal.labels):
        return signal.labels[index]
    return f"{signal.axis or signal.name.replace('_', ' ')} {index + 1}"


def one_of(request: Request, signal: Signal, size: int) -> tuple[int, tuple[str, ...]]:
    """Which of the components is shown, the one asked for or the last, and the names of all."""
    last = size - 1
    shown = last if request.component is None else max(0, min(request.component, last))
    return shown, tuple(component_label(signal, i) for i in range(size))


@builds("line")
def lines(request: Request, common: dict[str, Any]) -> LineData:
    """Curves of all runs, a vector signal's components shaded light to dark, with the bands between pairs."""
    x = _axis(request)
    series = [line for run in request.runs for s in _drawn(request) for line in _curves(request, run, s)]
    keys = {line.key for line in series}
    bands = [
        Band(lo, hi, run.id)
        for run in request.runs
        for below, above in request.view.bands
        for lo, hi in _pairs(keys, run.id, below, above)
    ]
    empty = common["empty"] or (None if series else waiting(request, [s.signal for s in request.view.lines()]))
    ydomain = common["ydomain"] or open_range(request.view.range, [a for s in series for a in (s.mean, s.lo, s.hi)])
    return LineData(
        **{**common, "empty": empty, "ydomain": ydomain}, x=_trim(x, series), series=tuple(series), bands=tuple(bands)
    )


@builds("area")
def areas(request: Request, common: dict[str, Any]) -> LineData:
    """Parts of a whole for one run: the view's series, or the components of its only (vector) signal."""
    run = request.runs[0] if request.runs else None
    declared = request.view.lines()
    component, found = request.component, []
    labels: tuple[str, ...] = ()
    if run is not None and len(declared) == 1:
        found = list(_curves(request, run, declared[0]))
    elif run is not None:
        chosen = [(s, list(_curves(replace(request, component=None), run, s))) for s in declared]
        size = max((len(curves) for _, curves in chosen), default=0)
        if size > 1:
            component, labels = one_of(request, request.signal(declared[0].signal), size)
        for s, curves in chosen:
            if curves:
                curve = curves[min(component or 0, len(curves) - 1)]
                found.append(replace(curve, label=s.label or s.signal.replace("_", " ")))
    tokens: list[Color] = [{"token": (s.color or PARTS[i % len(PARTS)])} for i, s in enumerate(declared)]
    if len(declared) == 1:
        tokens = [{"token": PARTS[i % len(PARTS)]} for i in range(len(found))]
    parts = [
        replace(line, color=color, shade=1.0, lo=None, hi=None) for line, color in zip(found, tokens, strict=False)
    ]
    title = f"{common['title']}, {labels[component]}" if component is not None and labels else common["title"]
    subtitle = " · ".join(p for p in (run.label if run else "", common["subtitle"]) if p)
    empty = common["empty"] or (None if parts else waiting(request, [s.signal for s in declared]))
    shared = {**common, "title": title, "subtitle": subtitle, "empty": empty, "run": run.id if run else None}
    shared |= {"component": component, "components": labels}
    shared["ydomain"] = common["ydomain"] or (0.0, 1.0)
    return LineData(**shared, x=_trim(_axis(request), parts), series=tuple(parts))


@builds("heatmap")
def heatmap(request: Request, common: dict[str, Any]) -> GridData:
    """A vector signal over the steps: one row a component, one column a bucket; the view's range is its colours'.

    What is recorded every n steps stands until it is recorded again.
    """
    declared = request.view.lines()
    rows = [line for run in request.runs[:1] for s in declared for line in _curves(request, run, s)]
    x = _trim(_axis(request), rows)
    values = _held(np.stack([line.mean for line in rows])).ravel() if rows else np.empty(0)
    finite = values[np.isfinite(values)]
    return GridData(
        **{**common, "empty": common["empty"] or (None if rows else waiting(request, [s.signal for s in declared]))},
        rows=tuple(line.label for line in rows), x=x, values=values, center=request.view.center,
        vdomain=common["ydomain"] or ((float(finite.min()), float(finite.max())) if finite.size else None),
    )  # fmt: skip


def _held(values: Array) -> Array:
    """Empty columns of (rows, columns) filled with the last one before them, over four usual distances at most."""
    there = np.flatnonzero(~np.isnan(values).all(0))
    if len(there) < 2:
        return values
    usual = float(np.median(np.diff(there)))
    if usual == 1:
        return values
    columns = np.arange(values.shape[1])
    after = np.searchsorted(there, columns, side="right")
    before = there[np.maximum(after - 1, 0)]
    ends = np.append(there[1:], there[-1] + usual)[np.maximum(after - 1, 0)]
    held = (after > 0) & (ends - before <= 4 * usual) & (columns < ends)
    return np.where(held, values[:, before], values)


def _drawn(request: Request) -> list[Series]:
    """The view's series, and the ends of its bands where they are not among them."""
    declared = list(request.view.lines())
    known = {s.signal for s in declared}
    ends = dict.fromkeys(name for pair in request.view.bands for name in pair)
    return declared + [Series(name) for name in ends if name not in known]


def _axis(request: Request) -> Axis:
    middle = grid.centres(request.bounds)
    base = float(np.floor(middle[0]))
    return Axis(middle - base, base)


def _trim(x: Axis, series: list[Line]) -> Axis:
    """No x without a series: an empty chart sends an empty axis."""
    return x if series else Axis(np.empty(0), x.base)


def _curves(request: Request, run: Run, series: Series) -> Iterator[Line]:
    """The curves of one signal of one run: one for a scalar, one a component for a vector."""
    if kind_of(run, series.signal) not in ("scalar", "array"):
        return
    found = history(run, series.signal, request.bounds, apart={r.id for r in request.runs})
    if found is None:
        return
    signal = request.signal(series.signal)
    size = found.mean.shape[1]
    one = found.vector and request.component is not None and request.component < size
    name = series.label or series.signal.replace("_", " ")
    for c in [request.component or 0] if one else range(size):
        middle, gaps = _with_gaps(found.mean[:, c], found.nonfinite[:, c])
        if not gaps and np.isnan(middle).all():
            continue
        several = bool((found.count[:, c] > 1).any())
        label = component_label(signal, c) if found.vector else name
        yield Line(
            key=f"{run.id}:{series.signal}" + (f":{c}" if found.vector else ""),
            run=run.id,
            label=f"{name}, {label}" if found.vector and len(request.view.series) > 1 else label,
            signal=series.signal,
            color={"token": series.color} if series.color else {"run": request.colors[run.id]},
            mean=middle,
            lo=found.low[:, c] if several else None,
            hi=found.high[:, c] if several else None,
            shade=(c + 1) / size,
            dash=series.dash,
            axis=series.axis,
            gaps=bool(gaps or np.isnan(middle).any()),
            nonfinite=_marks(request.bounds, found.nonfinite[:, c], found.marks),
        )


def _with_gaps(mean: Array, nonfinite: NDArray[np.int64]) -> tuple[Array, bool]:
    """The means, with +Infinity where a bucket holds only non-finite values; and whether there is such a bucket."""
    only = np.isnan(mean) & (nonfinite > 0)
    return (np.where(only, np.inf, mean), True) if only.any() else (mean, False)


def _marks(bounds: Array, nonfinite: NDArray[np.int64], exact: NDArray[np.int64]) -> tuple[int, ...]:
    """A step to mark in each bucket with non-finite values: the exact one where it is known; a bounded number."""
    where = np.flatnonzero(nonfinite)
    if where.size > _MARKS:
        where = where[np.linspace(0, where.size - 1, _MARKS).astype(int)]
    if not where.size:
        return ()
    steps = bounds[where]
    holders = np.searchsorted(bounds, exact, side="right") - 1
    for step, holder in zip(exact[::-1], holders[::-1], strict=True):
        steps[where == holder] = step
    return tuple(int(s) for s in steps)


def _pairs(keys: set[str], run: str, below: str, above: str) -> Iterator[tuple[str, str]]:
    """Keys of the curves between which a band lies; components pair with their namesakes."""
    lo, hi = f"{run}:{below}", f"{run}:{above}"
    for key in sorted(keys):
        partner = hi + key[len(lo) :]
        if (key == lo or key.startswith(lo + ":")) and partner in keys:
            yield key, partner


def open_range(wanted: tuple[float | None, float | None], arrays: Iterable[Array | None]) -> tuple[float, float] | None:
    """A range with one fixed end: the other follows the data, with a little air."""
    low, high = wanted
    values = [a[np.isfinite(a)] for a in arrays if a is not None]
    if (low is None) == (high is None) or not any(v.size for v in values):
        return None
    every = np.concatenate(values)
    if low is not None:
        top = max(float(every.max()), low)
        return float(low), top + 0.05 * ((top - low) or 1.0)
    assert high is not None
    bottom = min(float(every.min()), high)
    return bottom - 0.05 * ((high - bottom) or 1.0), float(high)
