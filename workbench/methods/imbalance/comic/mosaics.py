"""A synthetic composite: four Fashion-MNIST pictures, halved, as the quarters of one; its labels are what is in it.

Which class a quarter shows follows an exponential tail, in training and test alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench import data
from workbench.methods.imbalance._shared.longtail import profile
from workbench.methods.imbalance.comic.knobs import GARMENTS, Comic
from workbench.methods.imbalance.comic.sample import Bools, Source

TEST = 1000


def build(config: Comic, rng: np.random.Generator) -> Source:
    """See `sample.source`."""
    pictures = data.load("fashion_mnist")
    shares = profile(len(GARMENTS), 10**6, config.imbalance) / 10**6
    parts = [
        compose(x, y, shares / shares.sum(), number, rng)
        for x, y, number in (
            (pictures.train_x, pictures.train_y, config.train_examples), (pictures.test_x, pictures.test_y, TEST)
        )
    ]  # fmt: skip
    (train_x, train_y), (test_x, test_y) = parts
    return Source(train_x, train_y, test_x, test_y, GARMENTS)


def compose(
    x: NDArray[np.uint8], y: NDArray[np.int64], shares: NDArray[np.float64], number: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Bools]:
    """Mosaics (number, 1, 28, 28) in [0, 1] and labels (number, C), from pictures (N, 28, 28) and classes (N,)."""
    classes = rng.choice(len(shares), size=(number, 4), p=shares)
    chosen = np.empty((number, 4), np.int64)
    for c in range(len(shares)):
        places = classes == c
        chosen[places] = rng.choice(np.flatnonzero(y == c), size=int(places.sum()))
    small = x[chosen].reshape(number, 2, 2, 14, 2, 14, 2).mean((4, 6)) / 255  # (number, row, column, 14, 14)
    whole = small.transpose(0, 1, 3, 2, 4).reshape(number, 1, 28, 28).astype(np.float32)
    labels = np.zeros((number, len(shares)), bool)
    np.put_along_axis(labels, classes, True, 1)
    return whole, labels
