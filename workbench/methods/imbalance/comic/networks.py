"""Networks of the experiment, and classifiers of normalised features from which a mean feature is taken or given."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SCALE, FLOOR, MEMORY = 16.0, 1 / 32, 0.9


def perceptron(inputs: int, width: int) -> nn.Sequential:
    """Vectors (B, inputs) to features (B, width)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU())


def small_conv(width: int) -> nn.Sequential:
    """Pictures (B, 1, 28, 28) to features (B, width): convolutions of 16 and 32 channels, each halved by its max."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, width), nn.ReLU(),
    )  # fmt: skip


def normed_logits(
    features: Tensor, weight: Tensor, mean: Tensor | None = None, shift: float = 0.0, *, scale: float = SCALE,
    floor: float = FLOOR,
) -> Tensor:  # fmt: skip
    """scale (f + shift cos(f, c) c) w^T, f = features / norm, w = weight / (norm + floor), c = mean / norm.

    After the authors' `models/HeadNormClassifier.py` (shift -1: what all features share is taken off) and
    `TailNormClassifier.py` (shift alpha = 2: it is given); shift 0 is their balanced network's.

    Args: features (B, D); weight (C, D); mean (D,) the moving mean of features.
    """
    f = features / torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp(min=1e-12)
    w = weight / (torch.linalg.vector_norm(weight, dim=1, keepdim=True) + floor)
    if mean is not None and shift:
        c = mean / torch.linalg.vector_norm(mean).clamp(min=1e-12)
        f = f + shift * (f @ c)[:, None] * c
    return scale * f @ w.T


class Normed(nn.Module):
    """A backbone with a normalised classifier; `mean` adds up features, each step's mean after 0.9 times what was."""

    mean: Tensor

    def __init__(self, backbone: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.weight = nn.Parameter((2 * torch.rand(classes, width) - 1) / math.sqrt(width))
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C), with nothing moved; in training the features go into the moving mean."""
        return normed_logits(self.features(x), self.weight)

    def features(self, x: Tensor) -> Tensor:
        """(B, D)."""
        f: Tensor = self.backbone(x)
        if self.training:
            self.mean = MEMORY * self.mean + f.detach().mean(0)
        return f

    def both(self, x: Tensor, shift: float) -> tuple[Tensor, Tensor]:
        """Logits as they are, and moved by `shift` along the mean feature."""
        f = self.features(x)
        return normed_logits(f, self.weight), normed_logits(f, self.weight, self.mean, shift)


class Three(nn.Module):
    """Three networks: head (natural batches), tail (reversed ones), balanced; the balanced one answers."""

    def __init__(self, head: Normed, tail: Normed, balanced: Normed) -> None:
        super().__init__()
        self.head, self.tail, self.balanced = head, tail, balanced

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C) of the balanced network."""
        logits: Tensor = self.balanced(x)
        return logits
