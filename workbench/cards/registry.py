"""Finding cards: by walking `workbench.methods`, and by the entry-point group `workbench.methods`."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points

from workbench.cards.declarations import Card
from workbench.cards.errors import UnknownName, WorkbenchError


@functools.cache
def _modules() -> dict[str, str]:
    """Experiment id → dotted name of the package that holds its card."""
    found = dict(_walk("workbench.methods"))
    for point in entry_points(group="workbench.methods"):
        found.update(_walk(point.value))
    return found


def _walk(root: str) -> Iterator[tuple[str, str]]:
    package = importlib.import_module(root)
    for family in pkgutil.iter_modules(package.__path__):
        if not family.ispkg or family.name.startswith("_"):
            continue
        folder = importlib.import_module(f"{root}.{family.name}")
        for method in pkgutil.iter_modules(folder.__path__):
            if method.ispkg and not method.name.startswith("_"):
                yield f"{family.name}/{method.name}", f"{root}.{family.name}.{method.name}"


def experiments() -> list[str]:
    """Ids of every experiment that is installed, sorted."""
    return sorted(_modules())


@functools.cache
def card(experiment: str) -> Card:
    """The card of an experiment; `UnknownName` suggests the nearest id."""
    modules = _modules()
    if experiment not in modules:
        raise UnknownName("experiment", experiment, modules)
    package = modules[experiment]
    found = getattr(importlib.import_module(f"{package}.card"), "CARD", None)
    if not isinstance(found, Card):
        raise WorkbenchError(f"{package}.card does not define CARD = Card(…).")
    return dataclasses.replace(found, id=experiment, package=package)
