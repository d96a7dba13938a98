"""Severity: real pictures blurred in five grades. Pictures are real; grades are synthetic, their strength known.

A picture of Fashion-MNIST is blurred by a Gaussian whose width grows with a strength in [0, 5), and noise is added
behind it, so that sharpness alone does not give the blur away. The grade is the whole part of the strength: pictures
near a border are hard to grade, as they are for a reader of radiographs. Grades have the shares of KL 0 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench import data
from workbench.cards.errors import InvalidValue
from workbench.cards.protocols import SessionProtocol
from workbench.methods.imbalance.semixup.knobs import GRADES, SHARES, Semixup

SHARPEST, WIDER = 0.4, 0.45  # pixels: the blur's standard deviation at strength 0, and how much a grade adds
REACH = 6  # pixels: where its tails are cut


@dataclass(frozen=True)
class Graded:
    """Pictures `x` (N, 1, 28, 28) float32 in [0, 1] and their grades `y` (N,), 0 … 4."""

    x: Tensor
    y: Tensor


def degrade(
    pictures: NDArray[np.float32], strength: NDArray[np.float64], noise: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Blur each picture (N, H, W) by its strength (N,), add noise of that shape, cut to [0, 1]."""
    width = (SHARPEST + WIDER * strength)[:, None]
    kernel = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / width) ** 2)
    kernel /= kernel.sum(1, keepdims=True)
    blurred = pictures.astype(np.float64)
    for axis in (1, 2):
        around = [(REACH, REACH) if a == axis else (0, 0) for a in range(3)]
        padded, size = np.pad(blurred, around), blurred.shape[axis]
        blurred = np.zeros_like(blurred)
        for k in range(2 * REACH + 1):
            blurred += kernel[:, k, None, None] * padded.take(np.arange(k, k + size), axis)
    return np.clip(blurred + noise, 0, 1).astype(np.float32)


def shared(number: int) -> NDArray[np.int64]:
    """(number,) grades, sorted, in the shares of KL 0 to 4; a grade has at least one."""
    counts = np.maximum((np.array(SHARES) * number / sum(SHARES)).astype(np.int64), 1)
    counts[0] += number - counts.sum()
    return np.repeat(np.arange(GRADES), counts)


class World:
    """`labelled` (as many of each grade), `unlabelled` (whose grades nobody trains on) and `test`: different pictures.

    Runs of one seed see the same test pictures, and of the labelled and unlabelled ones as many as they ask for.
    """

    def __init__(self, config: Semixup, session: SessionProtocol) -> None:
        source = data.load("fashion_mnist")
        have = len(source.train_y)
        if (wanted := GRADES * config.n_labelled + config.n_unlabelled) > have:
            raise InvalidValue(f"n_labelled and n_unlabelled ask for {wanted} pictures; Fashion-MNIST has {have}.")
        self.levels, self.noise = source.levels, config.noise
        drawn = session.rng("data", "pictures").permutation(have)
        balanced = np.tile(np.arange(GRADES), config.n_labelled)
        self.labelled = self._graded(source.train_x[drawn[: len(balanced)]], balanced, session.rng("data", "labelled"))
        rest = source.train_x[drawn[have - config.n_unlabelled :]]
        self.unlabelled = self._graded(rest, shared(len(rest)), session.rng("data", "unlabelled"))
        tested = session.rng("eval", "pictures").permutation(len(source.test_y))[: config.n_test]
        self.test = self._graded(source.test_x[tested], shared(len(tested)), session.rng("eval", "test"))

    def _graded(self, pixels: NDArray[np.uint8], y: NDArray[np.int64], rng: np.random.Generator) -> Graded:
        grey = data.as_floats(pixels, self.levels)[:, 0]
        noise = self.noise * rng.standard_normal(grey.shape)
        x = degrade(grey, y + rng.random(len(y)), noise)
        return Graded(torch.from_numpy(x[:, None]), torch.from_numpy(y))
