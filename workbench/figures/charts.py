"""Card and journal become ChartData: `chart_data` builds one view of a card for some runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.cards import Card, Signal, View
from workbench.figures import grid
from workbench.figures.ancestry import scalar_at
from workbench.figures.chartdata import ChartData, Mark
from workbench.figures.palette import run_colors
from workbench.runs import Run


@dataclass(frozen=True)
class Request:
    """What is to be drawn.

    Attributes:
        runs: the runs of this chart (for a view drawn `per_run`: one).
        names: signal name → kind, of what the runs recorded.
        bounds: bucket boundaries on the x axis, shape (n + 1,).
        at: the time slider's step; None: the newest.
        range: the steps asked for; None: all.
    """

    card: Card
    view: View
    runs: Sequence[Run]
    colors: Mapping[str, int]
    bounds: Any
    component: int | None
    at: int | None
    range: tuple[float, float] | None = None

    def signal(self, name: str) -> Signal:
        """The card's declaration; an undeclared signal gets a bare one."""
        return self.card.signal(name) or Signal(name)


SINGLE = ("area", "responses", "tokens")  # kinds that show one run at a time, declared so or not
_ALIKE = 0.02  # references of several runs that differ by less are one line

Builder = Callable[[Request, dict[str, Any]], ChartData]
_BUILDERS: dict[str, Builder] = {}


def builds(*kinds: str) -> Callable[[Builder], Builder]:
    """Register the builder of these kinds of view: it gets the request and the fields all charts share."""

    def register(build: Builder) -> Builder:
        _BUILDERS.update(dict.fromkeys(kinds, build))
        return build

    return register


def chart_data(
    card: Card,
    runs: Sequence[Run],
    view: View,
    *,
    width: int = 800,
    range: tuple[float, float] | None = None,
    component: int | None = None,
    run: str | None = None,
    at: int | None = None,
    colors: Mapping[str, int] | None = None,
) -> ChartData:
    """One view of the card for these runs.

    Args:
        width: of the plot in pixels: the most buckets its grid may have.
        range: steps shown; None: the whole run (a young run: the part it has begun). Of responses those of its first.
        component: which component or layer, where the view shows one; None: the last (of lines: all).
        run: which run, where the view shows one; None: the first.
        at: the step of bars, histograms, matrices, images and text; None: the newest.
        colors: run id → palette index; None: chosen by arm.
    """
    span = range or grid.domain(runs)
    shown = list(runs)
    if single := view.per_run or view.kind in SINGLE:
        shown = [r for r in runs if r.id == run] or list(runs[:1])
    request = Request(
        card, view, shown, colors or run_colors(card, runs),
        grid.edges(*span, max(int(width), 1), max((grid.reached(r) for r in shown), default=0)), component, at, range,
    )  # fmt: skip
    low, high = view.range
    common = {
        "id": view.id, "kind": view.kind, "title": view.title, "subtitle": view.subtitle, "unit": view.unit,
        "scale": view.scale, "xdomain": (float(span[0]), float(span[1])),
        "ydomain": None if low is None or high is None else (float(low), float(high)),
        "references": _references(request), "component": component,
        "run": shown[0].id if shown and single else None,
        "empty": None if runs else "No run of this experiment is shown.",
    }  # fmt: skip
    return _builder(view.kind)(request, common)


def _builder(kind: str) -> Builder:
    from workbench.figures import lines, newest, responses, scatter, ternary, token_text  # noqa: F401  (they register themselves)

    return _BUILDERS.get(kind, _unknown)


def _unknown(request: Request, common: dict[str, Any]) -> ChartData:
    """A view whose kind no builder knows is said to be so, in its place."""
    from workbench.figures.chartdata import TextData

    kind = request.view.kind
    return TextData(**{**common, "kind": "text", "empty": f"Views of the kind '{kind}' cannot be drawn yet."})


def waiting(request: Request, signals: Sequence[str]) -> str:
    """Why a chart is empty: nothing recorded yet, or nothing will be."""
    names = ", ".join(dict.fromkeys(signals)) or "any signal"
    if request.runs and all(r.reader.state in ("finished", "stopped", "failed", "lost") for r in request.runs):
        return f"{' and '.join(r.label for r in request.runs)} recorded no {names}."
    return f"Waiting for the first value of {names}."


def _references(request: Request) -> tuple[Mark, ...]:
    """The view's horizontal lines; one that follows a signal stands at each run's latest value."""
    marks: list[Mark] = []
    for reference in request.view.references:
        if not isinstance(reference.value, str):
            marks.append(Mark(float(reference.value), reference.label))
            continue
        found = {r.label: scalar_at(r, reference.value, request.at) for r in request.runs}
        values = {label: v for label, v in found.items() if v is not None}
        if values and max(values.values()) - min(values.values()) <= _ALIKE * max(map(abs, values.values())):
            marks.append(Mark(sum(values.values()) / len(values), reference.label))
        else:
            marks.extend(Mark(v, f"{reference.label}, {label}") for label, v in values.items())
    return tuple(marks)
