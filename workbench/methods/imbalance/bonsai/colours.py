"""ColoredMNIST: real pictures, recoloured so that colour foretells the label better than shape does, but not always.

As the field builds it (Arjovsky et al. 2019, section 5.2; `make_environment` of the authors' code): every second pixel
of a grey picture, 14×14; y = 1 for the first five classes, flipped with probability `label_noise`; colour = y, flipped
with a probability e that depends on the environment; the picture goes into the channel of its colour, the other is 0.
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
from workbench.methods.imbalance.bonsai.knobs import TEST_FLIPS, Bonsai


@dataclass(frozen=True)
class Coloured:
    """Pictures `x` (n, 2, 14, 14) float32 in [0, 1]; `y`, `colour`, and `shape` (y without its noise), (n,) in 0, 1."""

    x: Tensor
    y: Tensor
    colour: Tensor
    shape: Tensor


def paint(
    grey: NDArray[np.float32], shape: NDArray[np.bool_], label_noise: float, flips: NDArray[np.float64] | float,
    chance: NDArray[np.float64],
) -> Coloured:  # fmt: skip
    """Colour grey pictures (n, 28, 28) whose shape says the label (n,).

    `flips`: e, one number or (n,); `chance` (2, n), uniform draws in [0, 1) for label and colour.
    """
    y = shape ^ (chance[0] < label_noise)
    colour = y ^ (chance[1] < flips)
    x = np.zeros((len(grey), 2, 14, 14), np.float32)
    x[np.arange(len(grey)), colour.astype(int)] = grey[:, ::2, ::2]
    answers = [torch.from_numpy(a.astype(np.float32)) for a in (y, colour, shape)]
    return Coloured(torch.from_numpy(x), *answers)


class World:
    """Training pictures, of which the first half is environment 1, and the same test pictures in three colourings.

    Pictures that were not drawn for training are test pictures too, behind those of the set's own test part.
    """

    def __init__(self, config: Bonsai, session: SessionProtocol) -> None:
        source = data.load(config.pictures)
        tests, trains = len(source.test_y), len(source.train_y)
        for name, value, most in (
            ("images", config.images, trains), ("evaluation", config.evaluation, tests + trains - config.images)
        ):  # fmt: skip
            if value > most:
                raise InvalidValue(
                    f"{name} must be at most {most}, the pictures of {config.pictures} that are left; got {value}."
                )

        def grey(test: NDArray[np.int64], train: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
            pixels = np.concatenate([source.test_x[test], source.train_x[train]])
            classes = np.concatenate([source.test_y[test], source.train_y[train]])
            return data.as_floats(pixels, source.levels)[:, 0], classes < 5

        n, rng = config.images, session.rng("data", "pictures")
        drawn = rng.permutation(trains)
        self.half = n // 2
        flips = np.where(np.arange(n) < self.half, config.e1, config.e2)
        self.train = paint(*grey(drawn[:0], drawn[:n]), config.label_noise, flips, rng.random((2, n)))
        own = np.arange(min(config.evaluation, tests))
        tested = grey(own, drawn[n : n + config.evaluation - len(own)])
        chance = session.rng("eval", "colours").random((2, config.evaluation))
        self.tests = [paint(*tested, config.label_noise, e, chance) for e in TEST_FLIPS]

    @property
    def environments(self) -> tuple[slice, slice]:
        """Rows of the two training environments."""
        return slice(0, self.half), slice(self.half, None)
