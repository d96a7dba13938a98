"""A value over the mixtures of three, as points in a triangle, with each run's own place in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.figures.ancestry import array_at
from workbench.figures.chartdata import Array, Place, TernaryData
from workbench.figures.charts import Request, builds, waiting
from workbench.figures.lines import component_label
from workbench.runs import Run

_CORNERS = 3
_CLOSE = 1e-3  # how far from 1 weights may sum up, in single precision


@builds("ternary")
def ternary(request: Request, common: dict[str, Any]) -> TernaryData:
    """The map of the first run that has one; all the runs' own places.

    Points that have no place in the triangle, or no finite value, are counted in the chart's note.
    """
    declared = request.view.lines()
    name = declared[0].signal
    maps = {run.id: found for run in request.runs if (found := array_at(run, name, request.at)) is not None}
    if not maps:
        return TernaryData(**{**common, "empty": common["empty"] or waiting(request, [name])})
    run = next(r for r in request.runs if r.id in maps)
    step, recorded = maps[run.id]
    shared = {**common, "step": step, "run": run.id}
    points = np.asarray(recorded, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != _CORNERS + 1:
        words = f"{name} has the shape {points.shape}; a ternary map is (N, 4): three weights that sum to 1, a value."
        return TernaryData(**{**shared, "empty": words})
    signal = request.signal(name)
    *corners, vlabel = (component_label(signal, i) for i in range(_CORNERS + 1))
    there = _inside(points[:, :_CORNERS]) & np.isfinite(points[:, _CORNERS])
    kept = points[there]
    values = kept[:, _CORNERS]
    differ = any(not np.array_equal(other, recorded, equal_nan=True) for _, other in maps.values())
    notes = [f"{run.label}'s map"] if differ else []
    notes += [f"{(~there).sum()} of {there.size} points have no place or value"] if not there.all() else []
    low, high = request.view.range
    ends = None
    if values.size:
        ends = (float(values.min()) if low is None else low, float(values.max()) if high is None else high)
    return TernaryData(
        **{**shared, "note": " · ".join(notes) or None, "unit": common["unit"] or signal.unit},
        corners=tuple(corners), vlabel=vlabel, weights=kept[:, :_CORNERS].ravel(), values=values, vdomain=ends,
        series=tuple(p for r in request.runs for s in declared[1:2] if (p := _place(request, r, s.signal)) is not None),
    )  # fmt: skip


def _place(request: Request, run: Run, name: str) -> Place | None:
    """Where the run itself lies; None: nowhere in the triangle."""
    found = array_at(run, name, request.at)
    if found is None:
        return None
    at = np.asarray(found[1], dtype=np.float64).ravel()
    if at.size != _CORNERS or not _inside(at[None])[0]:
        return None
    first, second, third = at.tolist()
    return Place(f"{run.id}:{name}", run.id, run.label, {"run": request.colors[run.id]}, (first, second, third))


def _inside(weights: Array) -> Any:
    """Which rows are three weights from 0 on that sum to 1, shape (n,) of bool."""
    return np.isfinite(weights).all(axis=1) & (weights >= 0).all(axis=1) & (abs(weights.sum(axis=1) - 1) <= _CLOSE)
