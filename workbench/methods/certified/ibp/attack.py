"""Projected gradient descent in the box: a lower bound of the true robust error (Madry et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fusion


def pgd(
    network: nn.Module,
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
    uniform = torch.rand(images.shape, generator=generator, dtype=images.dtype, device=images.device)
    point = (low + (high - low) * uniform)[todo]
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


def folded(network: nn.Sequential) -> nn.Sequential:
    """The same function in eval mode, batch norm folded into the layer before it: a quarter less time for an attack.

    Folded layers are copies; only layers that stand in `network` itself are folded.
    """
    layers: list[nn.Module] = []
    for layer in network:
        before = layers[-1] if layers else None
        if type(layer) is nn.BatchNorm2d and type(before) is nn.Conv2d:
            layers[-1] = fusion.fuse_conv_bn_eval(before, layer)
        elif type(layer) is nn.BatchNorm1d and type(before) is nn.Linear:
            layers[-1] = fusion.fuse_linear_bn_eval(before, layer)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)
