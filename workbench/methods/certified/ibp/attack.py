"""Projected gradient descent in the box: a lower bound of the true robust error (Madry et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.methods.certified.ibp.boxes import Box
from workbench.methods.certified.ibp.graph import Node, tape, walk
from workbench.methods.certified.ibp.norm import BATCH_NORMS, affine, broad

Function = Callable[[Tensor], Tensor]


def pgd(
    network: Function,
    images: Tensor,
    labels: Tensor,
    eps: float,
    *,
    steps: int = 20,
    step_size: float | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Attack points (B, …) inside [max(x - eps, 0), min(x + eps, 1)] and a mask (B,) of the images they break.

    One random start; signed gradient of the margin max_j logit_j - logit_y, step eps / 4 unless given. An image
    broken at any step stays broken and leaves the batch, so it costs nothing more. The network must be in eval mode.
    """
    low, high = (images - eps).clamp_min(0), (images + eps).clamp_max(1)
    found = images.clone()
    broken = network(images).argmax(1) != labels
    todo = (~broken).nonzero().squeeze(1)
    point = _random(low, high, generator)[todo]
    size = eps / 4 if step_size is None else step_size
    for k in range(steps + 1):
        if not len(todo):
            break
        point.requires_grad_(True)
        logits = network(point)
        hit = logits.detach().argmax(1) != labels[todo]
        found[todo] = point.detach()
        broken[todo[hit]] = True
        if k == steps:
            break
        true = F.one_hot(labels[todo], logits.shape[1]).bool()
        margin = logits.masked_fill(true, -torch.inf).amax(1) - logits[true]
        (gradient,) = torch.autograd.grad(margin.sum(), point)
        keep = ~hit
        todo = todo[keep]
        point = (point.detach() + size * gradient.sign())[keep]
        point = torch.minimum(torch.maximum(point, low[todo]), high[todo])
    return found, broken


@torch.enable_grad()
def strongest(
    height: Function, box: Box, *, steps: int, restarts: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """Points (B, …) of the box where `height` (B,) was greatest: signed gradient ascent from random starts.

    A step is max(1/4, 2/steps) of the radius, as in CTBench's attacks in training (without their falling step size).
    """
    low, high = box.lower.detach(), box.upper.detach()
    stride = max(0.25, 2 / max(steps, 1)) * box.radius.detach()
    best = box.centre.detach().clone()
    record = best.new_full((len(best),), -math.inf)
    for _ in range(restarts):
        point = _random(low, high, generator)
        for k in range(steps + 1):
            point.requires_grad_(k < steps)
            reached = height(point)
            better = reached.detach() > record
            record = torch.where(better, reached.detach(), record)
            best = torch.where(better.view(-1, *[1] * (best.dim() - 1)), point.detach(), best)
            if k < steps:
                (gradient,) = torch.autograd.grad(reached.sum(), point)
                point = torch.minimum(torch.maximum(point.detach() + stride * gradient.sign(), low), high)
    return best


def _random(low: Tensor, high: Tensor, generator: torch.Generator | None) -> Tensor:
    return low + (high - low) * torch.rand(low.shape, generator=generator, dtype=low.dtype, device=low.device)


class Frozen:
    """A network as a fixed function for attacks: no gradient to weights, batch norm folded into the layer before it.

    In train mode batch norm stands at the statistics of `images` (so an attack meets the network that the step trains;
    running values are left alone), in eval mode at its running values. Folding saves a quarter of an attack's time.
    Called with `start`, points stand for that value of the tape (see `graph`).
    """

    @torch.no_grad()
    def __init__(self, network: nn.Module, images: Tensor) -> None:
        self.nodes = tape(network)
        uses = [parent for node in self.nodes for parent in node.parents]
        self.functions: list[Function] = [_identity] * len(self.nodes)
        index = {id(node): i for i, node in enumerate(self.nodes)}

        def compute(node: Node, inputs: list[Tensor]) -> Tensor:
            i = index[id(node)]
            if node.layer is None:
                return inputs[0] + inputs[1]
            if not isinstance(node.layer, BATCH_NORMS):
                self.functions[i] = _fixed(node.layer)
                return self.functions[i](inputs[0])
            scale, shift = affine(node.layer, inputs[0])
            before = node.parents[0]
            layer = self.nodes[before - 1].layer if before else None
            if type(layer) in _FOLDS and uses.count(before) == 1:
                self.functions[before - 1] = _fixed(layer, (scale, shift))
            else:
                self.functions[i] = _Affine(scale, shift)
            return torch.addcmul(broad(shift, inputs[0].dim()), inputs[0], broad(scale, inputs[0].dim()))

        walk(self.nodes, images, compute)
        self.by_node = {id(node): f for node, f in zip(self.nodes, self.functions, strict=True)}

    def __call__(self, x: Tensor, start: int = 0) -> Tensor:
        """Logits (B, C)."""

        def compute(node: Node, inputs: list[Tensor]) -> Tensor:
            return inputs[0] + inputs[1] if node.layer is None else self.by_node[id(node)](inputs[0])

        return walk(self.nodes, x, compute, start)


_FOLDS: dict[Any, Callable[..., Tensor]] = {nn.Linear: F.linear, nn.Conv2d: F.conv2d}


def _identity(x: Tensor) -> Tensor:
    return x


class _Affine:
    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        self.scale, self.shift = scale, shift

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addcmul(broad(self.shift, x.dim()), x, broad(self.scale, x.dim()))


def _fixed(layer: Any, after: tuple[Tensor, Tensor] | None = None) -> Function:
    """The layer with its weights as they are now, detached, and behind it scale and shift (C,) of its channels."""
    function = _FOLDS.get(type(layer))
    if function is None:
        return layer
    weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    if after is not None:
        scale, shift = after
        weight = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        bias = shift if bias is None else torch.addcmul(shift, bias, scale)
    if type(layer) is nn.Linear:
        return lambda x: F.linear(x, weight, bias)
    options = layer.stride, layer.padding, layer.dilation, layer.groups
    return lambda x: F.conv2d(x, weight, bias, *options)
