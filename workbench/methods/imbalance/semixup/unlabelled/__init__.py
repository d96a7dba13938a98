"""What a method does with unlabelled pictures, one module each: a function `terms` of what a step has seen.

A method of one's own is one file, here or in another package under the entry-point group
`workbench.methods.imbalance.semixup.unlabelled`; it is then a choice of the control `method`:

    def terms(seen: Seen) -> Terms: ...  # weighted; the ramp-up comes on top

`Seen` is `workbench.methods.imbalance.semixup.seen.Seen`, `Terms` that of `losses`.
"""

from __future__ import annotations

from types import ModuleType

from workbench.cards import parts


def names() -> tuple[str, ...]:
    """Of every method, Semixup first; imports none of them."""
    return parts.names(__name__, first="semixup")


def method(name: str) -> ModuleType:
    """Its module. Raises `UnknownName`, which suggests the nearest."""
    return parts.part(__name__, name, what="method for unlabelled pictures")
