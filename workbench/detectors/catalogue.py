"""Which detectors a run gets: the generic ones of this package, and those that its card names."""

from __future__ import annotations

import copy
import functools
import importlib
import pkgutil
from collections.abc import Mapping

from workbench.cards.declarations import Card
from workbench.cards.errors import UnknownName, WorkbenchError
from workbench.detectors.base import Detector


@functools.cache
def generic() -> Mapping[str, type[Detector]]:
    """The detectors for anybody's run, id → class, found by walking this package."""
    package = importlib.import_module("workbench.detectors")
    found: dict[str, type[Detector]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for thing in vars(module).values():
            own = isinstance(thing, type) and thing.__module__ == module.__name__
            if own and issubclass(thing, Detector) and thing.id:
                found[thing.id] = thing
    return dict(sorted(found.items()))


def load(card: Card | None = None) -> list[Detector]:
    """Fresh detectors for a run of this card: those it names, and those that every run gets.

    Without a card, or with one that names none, all generic ones. A name is a generic id, or ``"module:Name"`` relative
    to the card's package, where Name is a class without required arguments or a ready instance (which is copied).
    Raises `UnknownName` for one that does not exist.
    """
    known = generic()
    if card is None or not card.detectors:
        detectors = [cls() for cls in known.values()]
    else:
        named = [_resolve(card, name) for name in card.detectors]
        ids = {detector.id for detector in named}
        detectors = [*named, *(cls() for cls in known.values() if cls.always and cls.id not in ids)]
    if card is not None:
        labels = {signal.name: tuple(signal.labels) for signal in card.signals if signal.labels}
        for detector in detectors:
            detector.labels = dict(labels)
    return detectors


def _resolve(card: Card, name: str) -> Detector:
    if ":" not in name:
        known = generic()
        if name not in known:
            raise UnknownName("detector", name, known, where=f"the card of {card.id}")
        return known[name]()
    where, _, attribute = name.partition(":")
    module = importlib.import_module(f"{card.package}.{where.lstrip('.')}")
    thing = getattr(module, attribute, None)
    if isinstance(thing, type) and issubclass(thing, Detector):
        return thing()
    if isinstance(thing, Detector):
        return copy.deepcopy(thing)
    names = [n for n, v in vars(module).items() if isinstance(v, Detector | type) and not n.startswith("_")]
    if thing is None:
        raise UnknownName("detector", attribute, names, where=module.__name__)
    raise WorkbenchError(f"{module.__name__}.{attribute}, named as a detector by {card.id}, is not a Detector.")
