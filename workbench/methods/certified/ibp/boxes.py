"""Boxes: clean activations with an interval around them, and the box that an input starts from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue


class BoxError(InvalidValue):
    """The images, labels or radius of an input box are not what a box needs."""


@dataclass(frozen=True, slots=True)
class Box:
    """Clean activations and the interval [centre - radius, centre + radius], all of one shape.

    The clean activations need not be the centre: batch norm takes its statistics from them wherever the box lies.
    """

    clean: Tensor
    centre: Tensor
    radius: Tensor

    @property
    def lower(self) -> Tensor:
        """Lower end."""
        return self.centre - self.radius

    @property
    def upper(self) -> Tensor:
        """Upper end."""
        return self.centre + self.radius

    @classmethod
    def between(cls, clean: Tensor, lower: Tensor, upper: Tensor) -> Box:
        """The box with these ends."""
        return cls(clean, (lower + upper) / 2, (upper - lower) / 2)

    def around(self, points: Tensor, shrink: float) -> Box:
        """A box inside this one, `shrink` times as wide, as near to `points` as it can stand.

        With `shrink` 1 it is this box to the bit, with 0 the clamped points. Source: Mueller et al. 2023 (SABR).
        """
        slack = self.radius * (1 - shrink)
        moved = torch.minimum(torch.maximum(points - self.centre, -slack), slack)
        return Box(self.clean, self.centre + moved, self.radius * shrink)


def input_box(images: Tensor, eps: float) -> Box:
    """The box [max(x - eps, 0), min(x + eps, 1)] around images of [0, 1]; eps in the unit of a pixel.

    Raises BoxError for a radius outside [0, 1] and for images outside [0, 1], where the clamp would be wrong.
    """
    check_radius(eps)
    low, high = (float(v) for v in torch.aminmax(images))
    if not (low >= 0.0 and high <= 1.0):
        raise BoxError(
            f"Images must lie in [0, 1] for the box to be right, found minimum {low:.4g} and maximum {high:.4g}; "
            "scale them (and undo any normalisation) first."
        )
    return box_around(images, eps)


def box_around(images: Tensor, eps: float) -> Box:
    """`input_box` without its checks, for images and a radius that were checked before.

    The reach to either side is computed, not the ends: x + eps - x would lose an eps of 1e-6 in single precision.
    """
    left, right = images.clamp_max(eps), (1 - images).clamp_max(eps)
    return Box(images, images + (right - left) / 2, (left + right) / 2)


def check_radius(eps: float) -> None:
    """Raise BoxError unless 0 <= eps <= 1 in the unit of a pixel."""
    if eps > 1:
        raise BoxError(f"epsilon is {eps:g} but pixels reach from 0 to 1; did you mean {eps:g}/255 = {eps / 255:.4g}?")
    if not eps >= 0:
        raise BoxError(f"epsilon must be a number from 0 to 1 in the unit of a pixel, got {eps:g}.")


def check_labels(labels: Tensor, classes: int) -> None:
    """Raise BoxError unless there are at least two classes and every label is one of them."""
    if classes < 2:
        raise BoxError(f"A margin needs at least 2 classes, the network has {classes} output.")
    low, high = (int(v) for v in torch.aminmax(labels))
    if low < 0 or high >= classes:
        raise BoxError(f"Labels must lie in 0..{classes - 1}, found {low}..{high}; check the network's last layer.")
