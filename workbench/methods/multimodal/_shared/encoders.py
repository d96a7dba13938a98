"""Encoders: one modality's input to features (B, width)."""

from __future__ import annotations

from torch import nn

from workbench.cards.errors import InvalidValue


def encoder(shape: tuple[int, ...], width: int) -> nn.Module:
    """For inputs of that shape without the batch: (d,) two dense layers; (channels, T) two convolutions and a mean."""
    if len(shape) == 1:
        return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    if len(shape) == 2 and shape[1] >= 45:
        return nn.Sequential(
            nn.Conv1d(shape[0], 16, 9, stride=4), nn.ReLU(), nn.Conv1d(16, 32, 5, stride=2), nn.ReLU(),
            nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(128, width), nn.ReLU(),
        )  # fmt: skip
    raise InvalidValue(
        f"An input has the shape (features,) or (channels, at least 45 points in time); got {shape}. Flatten it."
    )
