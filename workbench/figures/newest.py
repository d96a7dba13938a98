"""What stands at one step, the newest or the time slider's: bars, histograms, matrices, images, text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.cards import InvalidValue, Signal
from workbench.figures.ancestry import array_at, scalar_at, text_at
from workbench.figures.chartdata import BarData, Bars, Counts, GridData, HistogramData, ImageData, Picture, TextData
from workbench.figures.charts import Request, builds, waiting
from workbench.figures.lines import component_label, one_of

_SIDE = 512  # pictures are thinned to at most so many pixels a side before they travel
_PICTURES = 32
_STACK = 3  # sides of a stack of matrices


@builds("bars")
def bars(request: Request, common: dict[str, Any]) -> BarData:
    """A vector signal's components (or several scalars) side by side, one colour a run."""
    declared, series, step = request.view.lines(), [], None
    labels: tuple[str, ...] = ()
    for run in request.runs:
        scalars = []
        for s in declared:
            found = array_at(run, s.signal, request.at)
            if found is None:
                scalars.append(scalar_at(run, s.signal, request.at))
                continue
            step = max(step or 0, found[0])
            values = np.asarray(found[1], dtype=np.float64).ravel()
            signal = request.signal(s.signal)
            labels = max(labels, tuple(component_label(signal, i) for i in range(values.size)), key=len)
            name = run.label if len(declared) == 1 else f"{run.label}, {s.label or s.signal}"
            series.append(Bars(f"{run.id}:{s.signal}", run.id, name, {"run": request.colors[run.id]}, values))
        if any(v is not None for v in scalars) and not labels:
            values = np.array([np.nan if v is None else v for v in scalars])
            series.append(Bars(f"{run.id}:", run.id, run.label, {"run": request.colors[run.id]}, values))
            step = max(step or 0, run.step if request.at is None else request.at)
    if series and not labels:
        labels = tuple(s.label or s.signal.replace("_", " ") for s in declared)
    empty = common["empty"] or (None if series else waiting(request, [s.signal for s in declared]))
    return BarData(**{**common, "empty": empty, "step": step}, labels=labels, series=tuple(series))


@builds("histogram")
def histogram(request: Request, common: dict[str, Any]) -> HistogramData:
    """Counts in the bins that the signal declares, the runs laid over one another."""
    declared, series, step, edges = request.view.lines(), [], None, None
    for run in request.runs:
        for s in declared:
            found = array_at(run, s.signal, request.at)
            if found is None:
                continue
            step = max(step or 0, found[0])
            counts = np.asarray(found[1], dtype=np.float64).ravel()
            edges = edges or request.signal(s.signal).edges or (0.0, float(counts.size), counts.size)
            name = run.label if len(declared) == 1 else f"{run.label}, {s.label or s.signal}"
            series.append(Counts(f"{run.id}:{s.signal}", run.id, name, {"run": request.colors[run.id]}, counts))
    empty = common["empty"] or (None if series else waiting(request, [s.signal for s in declared]))
    return HistogramData(**{**common, "empty": empty, "step": step}, edges=edges or (0.0, 1.0, 1), series=tuple(series))


@builds("matrix")
def matrix(request: Request, common: dict[str, Any]) -> GridData:
    """A matrix signal of one run, or one layer of a stack; the view's range is that of its colours, for all layers."""
    name = request.view.lines()[0].signal
    for run in request.runs[:1]:
        found = array_at(run, name, request.at)
        if found is not None:
            values = np.atleast_2d(np.asarray(found[1], dtype=np.float64))
            if values.ndim > _STACK:
                words = f"{name} has arrays of shape {values.shape}; a matrix or a stack of them is drawn."
                return GridData(**{**common, "empty": words})
            finite = values[np.isfinite(values)]
            *stack, rows, columns = _sides(request.signal(name), values.ndim)
            component: int | None = None
            components: tuple[str, ...] = ()
            if stack:
                component, components = one_of(request, stack[0], len(values))
                values = values[component]
            return GridData(
                **{**common, "step": found[0], "run": run.id, "component": component, "components": components},
                rows=tuple(component_label(rows, i) for i in range(values.shape[0])),
                columns=tuple(component_label(columns, i) for i in range(values.shape[1])),
                values=values.ravel(),
                vdomain=common["ydomain"] or ((float(finite.min()), float(finite.max())) if finite.size else None),
                center=request.view.center,
            )
    return GridData(**{**common, "empty": common["empty"] or waiting(request, [name])})


@builds("image")
def images(request: Request, common: dict[str, Any]) -> ImageData:
    """Pictures; text signals of the same view are their captions, a line each."""
    declared, pictures, step = request.view.lines(), [], None
    for run in request.runs:
        captions = [
            line for s in declared if (text := text_at(run, s.signal, request.at)) for line in text[1].splitlines()
        ]
        for s in declared:
            found = array_at(run, s.signal, request.at)
            if found is None:
                continue
            step = max(step or 0, found[0])
            for i, picture in enumerate(_split(request.signal(s.signal), found[1])[:_PICTURES]):
                label = component_label(request.signal(s.signal), i)
                label = label if len(request.runs) == 1 else f"{run.label}, {label}"
                pictures.append(_picture(label, captions[i] if i < len(captions) else "", picture))
    empty = common["empty"] or (None if pictures else waiting(request, [s.signal for s in declared]))
    return ImageData(**{**common, "empty": empty, "step": step}, images=tuple(pictures))


@builds("text")
def text(request: Request, common: dict[str, Any]) -> TextData:
    """The newest text of each signal, with the run's name where there are several."""
    declared, lines, step = request.view.lines(), [], None
    for run in request.runs:
        for s in declared:
            found = text_at(run, s.signal, request.at)
            if found is not None:
                step = max(step or 0, found[0])
                prefix = f"{run.label}: " if len(request.runs) > 1 else ""
                lines += [prefix + line for line in found[1].splitlines()]
    empty = common["empty"] or (None if lines else waiting(request, [s.signal for s in declared]))
    return TextData(**{**common, "empty": empty, "step": step}, lines=tuple(lines))


def _sides(signal: Signal, count: int) -> list[Signal]:
    """The signal as it is along each side of its arrays: that side's axis and labels."""
    axes = [axis.strip() for axis in signal.axis.split("×")]
    axes = [*[axes[0]] * (count - len(axes)), *axes][-count:]
    labels = signal.sides[-count:] if len(signal.sides) >= count else (signal.labels,) * count
    return [replace(signal, axis=axis, labels=names) for axis, names in zip(axes, labels, strict=True)]


def _split(signal: Signal, value: NDArray[Any]) -> list[NDArray[Any]]:
    """An image signal's value as single pictures (H, W) or (H, W, C)."""
    if value.ndim == 2 or (value.ndim == 3 and value.shape[-1] in (1, 3)):
        return [value]
    if value.ndim in (3, 4):
        return list(value)
    raise InvalidValue(
        f"The image signal {signal.name} has the shape {value.shape}; it must be (H, W), (H, W, 3) or (N, H, W[, 3])."
    )


def _picture(label: str, caption: str, value: NDArray[Any]) -> Picture:
    every = max(1, -(-max(value.shape[:2]) // _SIDE))
    small = value[::every, ::every]
    scaled = small.astype(np.float64) / (255 if small.dtype == np.uint8 else 1)
    data = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    height, width = data.shape[:2]
    return Picture(label, caption, width, height, data.shape[2] if data.ndim == 3 else 1, data.ravel())
