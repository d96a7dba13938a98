"""Batch norm as a scale and a shift: by running values in eval mode, by a clean batch in train mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def by_batch(layer: nn.Module) -> bool:
    """Whether this batch norm takes its statistics from the batch now."""
    return isinstance(layer, BATCH_NORMS) and (layer.training or layer.running_mean is None)


def affine(layer: nn.BatchNorm1d | nn.BatchNorm2d, clean: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that the layer applies; in train mode by mean and biased variance of `clean` (B, C, ...).

    Gradients flow through both, as they do in training.
    """
    if by_batch(layer):
        assert clean is not None
        dims = [d for d in range(clean.dim()) if d != 1]
        variance, mean = torch.var_mean(clean, dims, correction=0)
    else:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, variance = layer.running_mean, layer.running_var
    scale = torch.rsqrt(variance + layer.eps)
    if layer.affine:
        scale = scale * layer.weight
    shift = -mean * scale
    return scale, shift + layer.bias if layer.affine else shift


def broad(values: Tensor, dims: int) -> Tensor:
    """(C,) as (1, C, 1, ...) of so many dimensions."""
    return values.view(1, -1, *[1] * (dims - 2))
