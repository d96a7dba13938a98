"""CROWN: linear bounds by one pass backward through the network, with every ReLU between two lines.

CROWN-IBP takes what enters the ReLUs from interval bounds (one pass in all); CROWN bounds each of them backward too.
Upper line: the chord; lower line: slope 1 if upper > -lower, else 0 ("adaptive"). All three are sound, none is always
the tightest: an image that one of them certifies is certified (see `verify`). As in auto_LiRPA, CROWN's ends replace
those of the intervals for undecided neurons, even where they are a little wider.

Shapes: B batch, S bounds asked for, A (B, S, *value) coefficients of a lower bound.
Source: Zhang et al. 2018 (arXiv 1811.00866), Zhang et al. 2020 (CROWN-IBP, arXiv 1906.06316).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.methods.certified.ibp.graph import NoBoundRuleError, Node
from workbench.methods.certified.ibp.interval import Bounds
from workbench.methods.certified.ibp.norm import affine, broad

CHUNK = 256  # bounds asked for at once, which limits the memory of CROWN


@dataclass(frozen=True, slots=True)
class Region:
    """What the backward pass must know: the input box, and the ends (lower, upper) of what enters each ReLU."""

    nodes: list[Node]
    shapes: list[tuple[int, ...]]
    centre: Tensor
    radius: Tensor
    ends: dict[str, tuple[Tensor, Tensor]]
    clean: dict[str, Tensor]

    @classmethod
    def of(cls, bounds: Bounds) -> Region:
        """With the ends that intervals give."""
        ends = {r.name: (r.lower, r.upper) for r in bounds.relus}
        return cls(bounds.nodes, bounds.shapes, bounds.input.centre, bounds.input.radius, ends, bounds.clean)

    def one(self, image: int) -> Region:
        """Of one image, in a batch of one."""
        rows = slice(image, image + 1)
        ends = {name: (low[rows], high[rows]) for name, (low, high) in self.ends.items()}
        return replace(self, centre=self.centre[rows], radius=self.radius[rows], ends=ends)

    def lower(self, A: Tensor, value: int) -> Tensor:
        """(B, S) lower bounds of the sums A * value over the box; A (B, S, *shape of the value)."""
        waiting, offset = {value: A}, A.new_zeros(A.shape[:2])
        for i in range(value - 1, -1, -1):
            coefficients = waiting.pop(i + 1, None)
            if coefficients is None:
                continue
            node = self.nodes[i]
            if node.layer is not None:
                coefficients, constant = self._back(node, coefficients)
                offset = offset + constant
            for parent in node.parents:
                there = waiting.get(parent)
                waiting[parent] = coefficients if there is None else there + coefficients
        at_input = waiting[0].flatten(2)
        ends = torch.bmm(at_input, self.centre.flatten(1)[:, :, None])
        return (ends - torch.bmm(at_input.abs(), self.radius.flatten(1)[:, :, None])).squeeze(2) + offset

    def _back(self, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
        assert node.layer is not None
        back = _BACK.get(type(node.layer))
        if back is None:
            known = ", ".join(sorted(k.__name__ for k in _BACK))
            raise NoBoundRuleError(
                f"CROWN has no rule for layer {type(node.layer).__name__} at position {node.name}; rules exist for "
                f"{known}. Verify with intervals (ibp), or replace the layer."
            )
        return back(self, node, A)


def margins(bounds: Bounds) -> Tensor:
    """(B, C) lower bounds of logit_y - logit_j by CROWN-IBP, 0 in column y."""
    region = Region.of(bounds)
    return region.lower(_differences(bounds.margin, bounds.labels), len(region.nodes))


def _differences(margin: Tensor, labels: Tensor) -> Tensor:
    """(B, C, C) rows that pick logit_y - logit_j."""
    eye = torch.eye(margin.shape[1], dtype=margin.dtype, device=margin.device)
    return eye[labels][:, None, :] - eye


@torch.no_grad()
def tightened(region: Region, values: dict[str, int]) -> Region:
    """Full CROWN: what enters each ReLU bounded backward, first layer first; only undecided neurons are asked for.

    Args: region of one image (`Region.one`); values: ReLU's name to the value that enters it.
    """
    region = replace(region, ends=dict(region.ends))
    for name, value in values.items():
        low, high = (end.clone() for end in region.ends[name])
        open_ = ((low < 0) & (high > 0)).flatten().nonzero().squeeze(1)
        for some in open_.split(CHUNK):
            A = F.one_hot(some, low.numel()).to(low.dtype).view(1, len(some), *low.shape[1:])
            flat_low, flat_high = low.view(-1), high.view(-1)
            flat_low[some] = region.lower(A, value)[0]
            flat_high[some] = -region.lower(-A, value)[0]
        region.ends[name] = low, high
    return region


@torch.no_grad()
def crown_margins(bounds: Bounds) -> Tensor:
    """(B, C) lower bounds of the margins by full CROWN, an image at a time."""
    whole, values = Region.of(bounds), {r.name: r.value for r in bounds.relus}
    asked, end = _differences(bounds.margin, bounds.labels), len(bounds.nodes)
    rows = [tightened(whole.one(i), values).lower(asked[i : i + 1], end) for i in range(len(bounds.labels))]
    return torch.cat(rows) if rows else bounds.margin


# -- rules: coefficients behind a layer become coefficients before it, and a constant (B, S) ---------------------------

Back = Callable[[Region, Any, Tensor], tuple[Tensor, Tensor]]
_BACK: dict[type[nn.Module], Back] = {}


def back_rule(*layers: type[nn.Module]) -> Callable[[Back], Back]:
    """Declare how coefficients pass exactly these layer types backward."""

    def declare(function: Back) -> Back:
        _BACK.update(dict.fromkeys(layers, function))
        return function

    return declare


@back_rule(nn.Linear)
def _linear(_: Region, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
    layer = node.layer
    assert isinstance(layer, nn.Linear)
    bias: Tensor | None = layer.bias
    return A @ layer.weight, A.new_zeros(A.shape[:2]) if bias is None else A @ bias


@back_rule(nn.Conv2d)
def _conv(region: Region, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
    layer = node.layer
    assert isinstance(layer, nn.Conv2d)
    if isinstance(layer.padding, str):
        raise NoBoundRuleError(
            f"Conv2d at position {node.name} has padding={layer.padding!r}; CROWN needs it as a number."
        )
    into = region.shapes[node.parents[0]]
    least = [
        (A.shape[k + 3] - 1) * layer.stride[k] - 2 * layer.padding[k] + layer.dilation[k] * (kernel - 1) + 1
        for k, kernel in enumerate(layer.kernel_size)
    ]
    rest = [into[k + 1] - least[k] for k in (0, 1)]  # what the stride did not reach
    before = F.conv_transpose2d(
        A.flatten(0, 1), layer.weight, None, layer.stride, layer.padding, rest, layer.groups, layer.dilation
    )
    bias: Tensor | None = layer.bias
    constant = A.new_zeros(A.shape[:2]) if bias is None else A.sum((3, 4)) @ bias
    return before.view(*A.shape[:2], *into), constant


@back_rule(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(region: Region, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
    layer = node.layer
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    scale, shift = affine(layer, region.clean.get(node.name))
    sums = A.flatten(3).sum(3) if A.dim() > 3 else A
    return A * broad(scale, A.dim() - 1).unsqueeze(0), sums @ shift


@back_rule(nn.ReLU)
def _relu(region: Region, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
    low, high = (end.unsqueeze(1) for end in region.ends[node.name])
    below, above = low.clamp_max(0), high.clamp_min(0)
    # a decided neuron's chord is its line: slope 1 (low >= 0) or 0 (high <= 0), without an intercept
    chord = above / (above - below).clamp_min(torch.finfo(low.dtype).tiny)
    slope = torch.where(low >= 0, 1.0, torch.where((high > 0) & (high > -low), 1.0, 0.0).to(low.dtype))
    chord = torch.where(low >= 0, 1.0, chord)
    falling = A.clamp_max(0)
    constant = (falling * (-chord * below)).flatten(2).sum(2)
    return A.clamp_min(0) * slope + falling * chord, constant


@back_rule(nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout2d)
def _same(region: Region, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
    return A.reshape(*A.shape[:2], *region.shapes[node.parents[0]]), A.new_zeros(A.shape[:2])


@back_rule(nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.ZeroPad2d)
def _transposed(region: Region, node: Node, A: Tensor) -> tuple[Tensor, Tensor]:
    """Of any layer that is linear without a constant: its transpose, by differentiating it."""
    assert node.layer is not None
    into = region.shapes[node.parents[0]]
    with torch.enable_grad():
        zeros = A.new_zeros((A.shape[0] * A.shape[1], *into), requires_grad=True)
        (before,) = torch.autograd.grad(node.layer(zeros), zeros, A.flatten(0, 1), create_graph=A.requires_grad)
    return before.view(*A.shape[:2], *into), A.new_zeros(A.shape[:2])
