"""The mathematics of TAPS: an attack inside a latent box, and its gradient handed to the ends of the box.

Source: Mao et al. 2023 (arXiv 2305.04574); link and scale as in eth-sri/CTBench, model_wrapper.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.methods.certified.ibp.attack import strongest
from workbench.methods.certified.ibp.boxes import Box

if TYPE_CHECKING:
    from workbench.methods.certified.ibp.scene import Scene

_TINY = 1e-5  # widths below it pass as this wide, as in CTBench


def attacked_margins(
    scene: Scene, *, split: int, link: float, steps: int, generator: torch.Generator | None = None
) -> Tensor:
    """(B, C) smallest margins that an attack finds in the box behind ReLU number `split`, one attack a class.

    Each is at least the interval bound; 0 in column y. Raises NoBoundRuleError if that ReLU is inside a residual block.
    """
    bounds, labels = scene.bounds, scene.labels
    entering = bounds.relus[min(split, len(bounds.relus)) - 1]
    low, high = F.relu(entering.lower), F.relu(entering.upper)
    start = next(i for i, node in enumerate(bounds.nodes) if node.name == entering.name) + 1
    batch, classes = bounds.margin.shape
    target = torch.arange(classes, device=labels.device).expand(batch, classes)
    target = target[target != labels[:, None]]  # (B (C-1),) the others, in order of class
    true = labels.repeat_interleave(classes - 1)

    def gap(logits: Tensor) -> Tensor:
        return (logits.gather(1, target[:, None]) - logits.gather(1, true[:, None])).squeeze(1)

    wide = [end.detach().repeat_interleave(classes - 1, dim=0) for end in (low, high)]
    box = Box.between(wide[0], *wide)
    points = strongest(lambda p: gap(scene.frozen(p, start)), box, steps=steps, generator=generator)
    linked = _Link.apply(low, high, points.view(batch, classes - 1, *low.shape[1:]), link)
    found = -gap(bounds.at(linked.flatten(0, 1), start)).view(batch, classes - 1)
    margin = found.new_zeros(batch, classes)
    return margin.masked_scatter(torch.arange(classes, device=labels.device) != labels[:, None], found)


class _Link(torch.autograd.Function):
    """Points pass as they are; their gradient goes to the ends of the box: rectified linear, c of the width each.

    A point at an end hands its whole gradient to it, one that lies c of the width away or more hands nothing.
    """

    @staticmethod
    def forward(ctx: Any, low: Tensor, high: Tensor, points: Tensor, c: float) -> Tensor:
        ctx.save_for_backward(low, high, points)
        ctx.c = c
        return points.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        low, high, points = ctx.saved_tensors
        low, high = low.unsqueeze(1), high.unsqueeze(1)
        slack = ctx.c * (high - low)

        def share(inside: Tensor) -> Tensor:
            reached = inside.clamp_min(0.5 * _TINY) / slack.clamp_min(_TINY)
            return torch.where(inside >= 0, gradient * reached, 0.0).sum(1)

        return share(low + slack - points), share(points - (high - slack)), None, None


class _Louder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.scale * gradient, None


def louder(x: Tensor, scale: float) -> Tensor:
    """x itself; its gradient counts `scale` times."""
    return _Louder.apply(x, scale)
