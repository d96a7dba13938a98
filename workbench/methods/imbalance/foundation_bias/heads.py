"""What is trained downstream of frozen encoders: a bottleneck adapter with a residual path and a cosine head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Of the cosines, before the softmax: the authors' value.
SCALE = 25.0


def cosine(features: Tensor, head: Tensor, scale: float = SCALE) -> Tensor:
    """Logits (…, B, C): scale times the cosine of features (…, B, d) with a row a class (…, C, d)."""
    return scale * F.normalize(features, dim=-1) @ F.normalize(head, dim=-1).mT


class Heads(nn.Module):
    """K adapters with heads of the same size, side by side: model k sees its own features alone.

    An adapter is x + relu(x A) B, A (d, width), B (width, d) zero at first, as in AdaptFormer. A head starts as the
    mean of each class's features, in place of the embedding of the class's name that a vision-language model has.

    Args:
        means: (K, C, d) of the training features.
        width: of the bottleneck.
    """

    def __init__(self, means: Tensor, width: int, generator: torch.Generator) -> None:
        super().__init__()
        models, _, size = means.shape
        down = torch.randn(models, size, width, generator=generator) * (2 / size) ** 0.5
        self.down, self.up = nn.Parameter(down), nn.Parameter(torch.zeros(models, width, size))
        self.head = nn.Parameter(means.clone())

    def forward(self, features: Tensor) -> Tensor:
        """Logits (K, B, C) for features (K, B, d)."""
        adapted = features + torch.relu(features @ self.down) @ self.up
        return cosine(adapted, self.head)
