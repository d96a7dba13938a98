"""A network as a list of layers in the order of their computation: what bounds and attacks walk along.

Value 0 is the input; node i computes value i + 1 from the values that it names as parents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from torch import Tensor, nn

from workbench.cards.errors import WorkbenchError

V = TypeVar("V")


class NoBoundRuleError(WorkbenchError):
    """A layer of the network has no rule for bounds, or stands where no rule reaches."""


class Residual(nn.Module):
    """`body(x) + shortcut(x)`; an empty shortcut is the identity."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Sequential() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, ...)."""
        return cast(Tensor, self.body(x) + self.shortcut(x))


@dataclass(frozen=True, slots=True)
class Node:
    """One layer, or (layer None) the sum of its parents; `name` is its position, as in ``3.body.0``."""

    name: str
    layer: nn.Module | None
    parents: tuple[int, ...]


def tape(network: nn.Module) -> list[Node]:
    """The layers of a network in order; Residual opens, and Sequential, also a subclass with Sequential's forward."""
    nodes: list[Node] = []
    _unroll(network, "", 0, nodes)
    return nodes


def _unroll(layer: nn.Module, name: str, value: int, nodes: list[Node]) -> int:
    """Append the layer's nodes; returns the value that it computes."""
    if isinstance(layer, nn.Sequential) and type(layer).forward is nn.Sequential.forward:
        for child, inner in layer.named_children():
            value = _unroll(inner, f"{name}.{child}" if name else child, value, nodes)
        return value
    if type(layer) is Residual:
        body, shortcut = (_unroll(getattr(layer, p), f"{name}.{p}", value, nodes) for p in ("body", "shortcut"))
        nodes.append(Node(name, None, (body, shortcut)))
    else:
        nodes.append(Node(name, layer, (value,)))
    return len(nodes)


def walk(nodes: Sequence[Node], first: V, compute: Callable[[Node, list[V]], V], start: int = 0) -> V:
    """Compute the last value from value `start`; each one is let go after its last use.

    Raises NoBoundRuleError if a later layer needs a value from before `start`.
    """
    last_use = {parent: i for i, node in enumerate(nodes) for parent in node.parents}
    values = {start: first}
    for i in range(start, len(nodes)):
        missing = [p for p in nodes[i].parents if p not in values]
        if missing:
            raise NoBoundRuleError(
                f"The network cannot be cut before position {nodes[start].name}: a shortcut to position "
                f"{nodes[i].name} passes by it. Cut outside of residual blocks."
            )
        values[i + 1] = compute(nodes[i], [values[p] for p in nodes[i].parents])
        for parent in nodes[i].parents:
            if last_use[parent] == i:
                values.pop(parent, None)
    return values[len(nodes)]


def last_linear(network: nn.Module) -> nn.Linear:
    """The classifier's last layer, by position (not by the name "weight", which a trailing batch norm would take)."""
    nodes = tape(network)
    if not nodes or type(nodes[-1].layer) is not nn.Linear:
        found = type(nodes[-1].layer).__name__ if nodes else "nothing"
        raise NoBoundRuleError(
            f"The network must end in nn.Linear so that the margins can be merged into it; found {found} at "
            f"position {nodes[-1].name if nodes else -1}."
        )
    return nodes[-1].layer
