"""On-the-fly gradient modulation (OGM, CVPR 2022): the encoder that is ahead learns more slowly.

Coefficients and gradients equal GeWu-Lab/OGM-GE_CVPR2022 @343dc1d, main.py (golden vectors), where only 4-D tensors are
scaled; here every tensor of two dimensions and more, since dense encoders have no others. The ratio is detached.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.methods.multimodal._shared import measures, strategy
from workbench.methods.multimodal._shared.network import MODALITIES, Outputs, TwoModalities


class Strategy(strategy.Strategy):
    """The fused loss; behind the backward pass the stronger encoder's kernels times k."""

    def after_backward(self, network: TwoModalities, out: Outputs) -> None:
        """See `strategy.Strategy.after_backward`."""
        with torch.no_grad():
            halves = network.fusion.halves(*out.features)
        self.coefficients = coefficients(*halves, out.y, alpha=self.config.alpha)
        for m, k in zip(MODALITIES, self.coefficients, strict=True):
            for parameter in strategy.kernels(network)[m]:
                if parameter.grad is not None:
                    parameter.grad = self.changed(parameter.grad, k)

    def changed(self, gradient: Tensor, k: float) -> Tensor:
        """The gradient as it is applied."""
        return k * gradient


def coefficients(za: Tensor, zv: Tensor, y: Tensor, *, alpha: float) -> tuple[float, float]:
    """k of a and v: of the one that is ahead 1 − tanh(alpha ratio), of the other 1."""
    ratio = measures.discrepancy(za, zv, y)
    if ratio > 1:
        return 1 - math.tanh(alpha * ratio), 1.0
    return 1.0, 1 - math.tanh(alpha / max(ratio, measures.TINY))
