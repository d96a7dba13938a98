"""Interchangeable parts of the family (norm layers, strategies): one module each, found by walking and by entry points.

Names come from files and entry points alone, so that a card can offer them without importing torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from workbench.cards.errors import UnknownName

NORMS = "workbench.methods.continual.adab2n.norms"
STRATEGIES = "workbench.methods.continual._shared.strategies"


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
