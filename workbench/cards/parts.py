"""Interchangeable parts of a family (norm layers, strategies, tasks): one module each, found by walking.

They lie in one package, or are named by the entry-point group of its name. Names come without importing anything, so
that a card can offer them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from workbench.cards.errors import UnknownName


@cache
def _found(package: str) -> dict[str, str]:
    """Name → dotted module of every part: the package's own modules, then the entry-point group of the same name."""
    own = importlib.import_module(package)
    modules = {m.name: f"{package}.{m.name}" for m in pkgutil.iter_modules(own.__path__) if not m.name.startswith("_")}
    return modules | {point.name: point.value for point in entry_points(group=package)}


def names(package: str, *, first: str = "") -> tuple[str, ...]:
    """Names of the parts in `package`, sorted, with `first` in front; imports none of them."""
    return tuple(sorted(_found(package), key=lambda name: (name != first, name)))


def part(package: str, name: str, *, what: str) -> ModuleType:
    """The module of one part. Raises `UnknownName`, which suggests the nearest name; `what` is the noun it uses."""
    found = _found(package)
    if name not in found:
        raise UnknownName(what, name, found)
    return importlib.import_module(found[name])
