"""A small siamese network: both halves of a picture, the right one mirrored, pass through the same convolutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Siamese(nn.Module):
    """Pictures (B, 1, 28, 28) → logits (B, classes), 24 thousand weights. Draws its weights from `generator`."""

    WIDTHS = (16, 32, 64)

    def __init__(self, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        first, second, third = self.WIDTHS
        self.inside = nn.Sequential(
            nn.Conv2d(1, first, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(first, second, 3, padding=1), nn.ReLU(),
            nn.Conv2d(second, third, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(2 * third, classes)
        with torch.no_grad():
            for layer in (*self.inside, self.head):
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    scale = math.sqrt(2 / layer.weight[0].numel())
                    layer.weight.copy_(scale * torch.randn(layer.weight.shape, generator=generator))
                    assert layer.bias is not None
                    layer.bias.zero_()

    def forward(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """Logits (B, classes). `kept` (B, 128) multiplies the features: a mask of `dropped`; None: no dropout."""
        middle = x.shape[3] // 2
        halves = torch.cat([x[..., :middle], x[..., middle:].flip(3)])
        left, right = self.inside(halves).mean((2, 3)).chunk(2)
        features = torch.cat([left, right], 1)
        logits: Tensor = self.head(features if kept is None else features * kept)
        return logits

    def dropped(self, rows: int, rate: float, generator: torch.Generator) -> Tensor:
        """A dropout mask (rows, 128): 0 with probability `rate`, else 1 / (1 - rate)."""
        kept = torch.rand((rows, self.head.in_features), generator=generator) >= rate
        return kept / (1 - rate)
