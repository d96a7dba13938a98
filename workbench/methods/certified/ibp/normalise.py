"""Batch norm of a box by the statistics of its clean batch, with its gradient written out.

The clean activations set mean and variance, and all three parts of the box depend on them. Autograd would keep a dozen
tensors a layer for that; by hand it is a third of the time, which is a good part of a training step on a CPU.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, clean: Tensor, centre: Tensor, radius: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, ...]:
        dims = [d for d in range(clean.dim()) if d != 1]
        shape = [1, -1] + [1] * (clean.dim() - 2)
        mean = clean.mean(dims, keepdim=True)
        x = clean - mean  # two passes: E[x^2] - E[x]^2 would lose small signals on a large mean
        variance = x.square().mean(dims, keepdim=True)
        inverse = torch.rsqrt(variance + eps)
        scale, shift = inverse * weight.view(shape), bias.view(shape)
        c = centre - mean
        ctx.save_for_backward(x, c, radius, weight, inverse)
        ctx.mark_non_differentiable(mean, variance)
        return x * scale + shift, c * scale + shift, radius * scale.abs(), mean, variance

    @staticmethod
    def backward(
        ctx: Any, g_clean: Tensor, g_centre: Tensor, g_radius: Tensor, *_: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, c, radius, weight, inverse = ctx.saved_tensors
        dims = [d for d in range(x.dim()) if d != 1]
        weight = weight.view(inverse.shape)
        scale = inverse * weight

        def total(values: Tensor) -> Tensor:
            return values.sum(dims, keepdim=True)

        moved = total(g_clean) + total(g_centre)
        # gradient of scale; the radius sees its absolute value
        stretched = total(g_clean * x) + total(g_centre * c) + scale.sign() * total(g_radius * radius)
        g_variance = stretched * weight * inverse.pow(3) / -2
        count = x.numel() / inverse.numel()
        into_clean = torch.addcmul(g_clean * scale - moved * scale / count, x, 2 * g_variance / count)
        of_weight, of_bias = (stretched * inverse).flatten(), moved.flatten()
        return into_clean, g_centre * scale, g_radius * scale.abs(), of_weight, of_bias, None


def normalise(
    clean: Tensor, centre: Tensor, radius: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(clean, centre, radius) after batch norm in train mode, and the mean and biased variance of `clean`.

    Args: clean, centre, radius (B, C, ...); weight, bias (C,); eps is added to the variance. Mean and variance come as
    (1, C, 1, ...) and carry no gradient of their own; gradients flow through them into `clean`.
    """
    return cast(
        "tuple[Tensor, Tensor, Tensor, Tensor, Tensor]",
        _Normalise.apply(clean, centre, radius, weight, bias, eps),
    )
