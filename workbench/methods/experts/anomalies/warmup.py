"""Stochastic routing warm-up (Ling, "Every FLOP Counts", 2025, eq. 3): logits that at first are noise of their size."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.models.moe_gpt import TopK

MOMENTUM = 0.9  # of the running mean and spread


def mixed(logits: Tensor, noise: Tensor, alpha: float, mean: Tensor | float, spread: Tensor | float) -> Tensor:
    """α s + (1 − α)(μ + σ ε) of router logits s (T, E) and standard normal noise ε (T, E)."""
    return alpha * logits + (1 - alpha) * (mean + spread * noise)


class WarmRouter(TopK):
    """Top-K whose logits are mixed with noise while `alpha` is below 1, in training alone.

    Mean and spread (population standard deviation) of the logits run along as buffers. Set `alpha` and `generator`
    before each forward pass.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, experts: int, top_k: int, *, std: float) -> None:
        super().__init__(width, experts, top_k, std=std)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.full((), torch.nan))  # nothing was seen
        self.alpha = 1.0
        self.generator: torch.Generator | None = None

    def logits(self, x: Tensor) -> Tensor:
        """Of tokens (T, d): (T, E), mixed where that is asked for."""
        plain = super().logits(x)
        if not self.training or self.alpha >= 1:
            return plain
        self._follow(plain.detach())
        noise = torch.randn(plain.shape, generator=self.generator, dtype=plain.dtype)
        return mixed(plain, noise.to(plain.device), self.alpha, self.mean, self.spread)

    def _follow(self, logits: Tensor) -> None:
        weight = 1.0 if self.spread.isnan() else 1 - MOMENTUM
        now = logits.mean(), logits.std(correction=0)
        self.mean += weight * (now[0] - self.mean)
        self.spread.copy_(now[1] if weight == 1 else self.spread + weight * (now[1] - self.spread))
