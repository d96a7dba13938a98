"""A card for an experiment that has none: a user's own loop or LightningModule, from what its newest run recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.cards import Card, Config, Control, Paper, Series, Signal, UnknownName, View, card, experiments
from workbench.cards.classes import NAMES, class_signals, class_views
from workbench.figures import responses, token_text
from workbench.per_class import named
from workbench.runs import Run, Store

_COMPONENTS = 16  # a vector of more components is drawn as a heat map


@dataclass(frozen=True)
class OwnCard(Card):
    """A card whose controls a run declared, not a configuration class."""

    declared: Mapping[str, Control] = field(default_factory=dict)

    @property
    def controls(self) -> dict[str, Control]:
        """As the run's session declared them."""
        return dict(self.declared)


def card_for(experiment: str, store: Store) -> Card:
    """The experiment's card, or one made from its newest run in the store: a chart for each signal it recorded.

    Raises:
        UnknownName: neither a card nor a run has that id (the nearest is suggested).
    """
    if experiment in experiments():
        return card(experiment)
    newest = next(iter(store.runs(experiment)), None)
    if newest is None:
        known = {*experiments(), *(r.experiment for r in store.runs()[:100])}
        raise UnknownName("experiment", experiment, known, where=str(store.path))
    newest.refresh()
    return OwnCard(
        id=experiment, title=experiment, subtitle="your own experiment: a chart for each recorded signal",
        paper=Paper("", "", 0), phenomenon="", remedy="", config=Config, signals=_signals(newest),
        views=_views(newest), arms=(), presets=(), declared=newest.controls,
        notes=("The charts are of the signals recorded when the panel was opened; open it again for newer ones.",),
    )  # fmt: skip


def _signals(run: Run) -> tuple[Signal, ...]:
    """What is known of the recorded signals: a classifier's classes."""
    if NAMES not in run.reader.names():
        return ()
    newest = run.reader.text_at(NAMES)
    return class_signals(named(newest[1] if newest else None))


def _views(run: Run) -> tuple[View, ...]:
    """A chart a signal; scalars that differ only in what stands before a slash (train/loss, val/loss) share one.

    What `workbench.PerClass` recorded has the charts that all classifiers have.
    """
    shared: dict[str, list[str]] = {}
    names = run.reader.names()
    views = list(class_views(grouped="acc_many" in names)) if NAMES in names else []
    taken = {NAMES, *(s.name for s in class_signals())} if views else set()
    for name, kind in sorted((n, k) for n, k in names.items() if n not in taken):
        if kind == "scalar":
            shared.setdefault(name.rsplit("/", 1)[-1], []).append(name)
        elif kind == "text":
            newest = run.reader.text_at(name)
            views.append(View(name, name, kind=_text_kind(newest[1]) if newest else "text", series=(name,)))
        elif found := run.reader.array_at(name):
            size, dims = found[1].size, found[1].ndim
            shape = "matrix" if dims == 2 else "line" if size <= _COMPONENTS else "heatmap"
            if dims <= 2:
                views.append(View(name, name, kind=shape, series=(name,), per_run=shape != "line"))
    lines = [
        View(last, last, series=tuple(Series(n, n, dash=i > 0) for i, n in enumerate(names)))
        for last, names in shared.items()
    ]
    return (*lines, *views)


def _text_kind(text: str) -> str:
    """The kind of view for a recorded text."""
    known = {"responses": responses.read, "tokens": token_text.read}
    return next((kind for kind, read in known.items() if read(text) is not None), "text")
