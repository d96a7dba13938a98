"""Augmentation at the moment of use: stored images stay as they were."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PAD = 4


def shift_and_flip(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Each of (B, C, H, W) moved by up to 4 pixels either way, zeros moving in, and mirrored with probability 1/2."""
    number, _, height, width = images.shape
    padded = F.pad(images, (PAD,) * 4)
    down, right = (rng.integers(0, 2 * PAD + 1, number).tolist() for _ in range(2))
    flip = rng.random(number) < 0.5
    cut = [p[:, y : y + height, x : x + width] for p, y, x in zip(padded, down, right, strict=True)]
    return torch.stack([c.flip(-1) if f else c for c, f in zip(cut, flip.tolist(), strict=True)])
