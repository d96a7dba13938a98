"""The augmentation of an unlabelled picture. It leaves the width of edges, and so the grade, alone.

The paper turns pictures by up to 10 degrees and bends their grey levels by a gamma between 0.5 and 1.5; both would
change how blurred a picture looks, so pictures are mirrored and moved by whole pixels, and their contrast is scaled.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SHIFT = 2  # pixels, at most, each way
NOISE, CONTRAST = 0.05, (0.7, 1.3)  # each for half of the pictures


def augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 1, H, W) in [0, 1], each mirrored or not, shifted by up to 2 pixels, then contrast and noise."""
    rows, (height, width) = len(x), x.shape[2:]
    mirror, bright, noisy, contrast = torch.rand((4, rows), generator=generator)
    down, right = torch.randint(2 * SHIFT + 1, (2, rows, 1, 1), generator=generator)
    x = torch.where((mirror < 0.5)[:, None, None, None], x.flip(3), x)
    padded = F.pad(x, (SHIFT, SHIFT, SHIFT, SHIFT))[:, 0]
    lines, columns = down + torch.arange(height)[None, :, None], right + torch.arange(width)[None, None, :]
    moved = padded[torch.arange(rows)[:, None, None], lines, columns][:, None]
    low, high = CONTRAST
    scale = torch.where(bright < 0.5, low + (high - low) * contrast, 1.0)
    strength = torch.where(noisy < 0.5, NOISE, 0.0)
    noise = torch.randn(x.shape, generator=generator)
    return (scale[:, None, None, None] * moved + strength[:, None, None, None] * noise).clamp(0, 1)
