"""Methods for the last stage, one module each: a `penalty` of what a step has seen, or a `risk` of its own, or both.

A method of one's own is one file, here or in another package under the entry-point group
`workbench.methods.imbalance.bonsai.ood`; it is then a choice of the control `ood_method`:

    def penalty(seen: Seen) -> Tensor: ...  # a number; the loss is the risk plus penalty_weight times it
    def risk(seen: Seen) -> Tensor: ...     # left out: the sum of the environments' mean losses

`Seen` is `workbench.methods.imbalance.bonsai.objective.Seen`.
"""

from __future__ import annotations

from types import ModuleType

from workbench.cards import parts


def names() -> tuple[str, ...]:
    """Of every method, sorted; imports none of them."""
    return parts.names(__name__)


def method(name: str) -> ModuleType:
    """Its module. Raises `UnknownName`, which suggests the nearest."""
    return parts.part(__name__, name, what="OoD method")
