"""Real pictures with imposed tails: what each encoder is pretrained on, what heads are trained on, what tests them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench import data
from workbench.cards.protocols import SessionProtocol
from workbench.data import order as ordered
from workbench.methods.imbalance._shared import longtail
from workbench.methods.imbalance.foundation_bias.knobs import FoundationBias

SETS = {"fashion": ("fashion_mnist",), "fashion_animals": ("fashion_mnist", "animal_mnist")}
PRETRAINING = 0.75  # of the training pictures of each class; the others are for what is downstream
TRIES = 1000
TEST, HELD = 500, 5  # test pictures a class at most, and which part of them (a fifth) estimates priors


@dataclass(frozen=True)
class Set:
    """Pictures (N, 28, 28), grey levels from 0 to 255, and their labels (N,)."""

    x: NDArray[np.uint8]
    y: NDArray[np.int64]

    @property
    def floats(self) -> NDArray[np.float32]:
        """The pictures (N, 1, 28, 28) in [0, 1]."""
        return data.as_floats(self.x)

    def rows(self, rows: NDArray[np.int64]) -> Set:
        """Some of them."""
        return Set(self.x[rows], self.y[rows])


@dataclass(frozen=True)
class Tail:
    """Which classes are frequent: `order` (C,) from the most frequent to the rarest, `counts` (C,) by label."""

    order: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def prior(self) -> NDArray[np.float64]:
        """(C,) shares of the classes."""
        return self.counts / self.counts.sum()


class Pictures:
    """Everything that a run sees: a function of its seed and its launch settings.

    Attributes:
        classes: their names.
        pretraining: each encoder's tail (all the same for `tails` = same), and behind them one that is even.
        downstream: the tail that heads are trained on.
        train, validation, test: that tail's pictures; class-balanced ones that estimate priors; class-balanced others.
    """

    def __init__(self, c: FoundationBias, session: SessionProtocol) -> None:
        self.session, self.same = session, c.tails == "same"
        sources = [data.load(name) for name in SETS[c.pictures]]
        offsets = np.cumsum([0, *(len(s.classes) for s in sources)])
        self.classes = tuple(name for s in sources for name in s.classes)
        joined = [
            Set(
                np.concatenate([getattr(s, f"{part}_x") for s in sources]),
                np.concatenate([getattr(s, f"{part}_y") + o for s, o in zip(sources, offsets, strict=False)]),
            )
            for part in ("train", "test")
        ]
        number = len(self.classes)
        self._pool, own = _parted(joined[0], session.rng("data", "split"))
        first, last = crossed(number, c.correlation, session.rng("data", "orders", 0))
        profile = longtail.sized(number, c.pretrain_images, c.pretrain_if)
        self.pretraining = [
            Tail(order, longtail.by_class(profile, order))
            for order in (
                first if self.same or k == 0 else session.rng("data", "orders", k).permutation(number)
                for k in range(c.n_confounders)
            )
        ]
        self.pretraining.append(Tail(first, longtail.sized(number, c.pretrain_images, 1.0)))
        profile = longtail.sized(number, c.downstream_images, c.downstream_if)
        self.downstream = Tail(last, longtail.by_class(profile, last))
        self.train = own.rows(longtail.subset(own.y, profile, last, session.rng("data", "downstream")))
        few = min(TEST, int(np.bincount(joined[1].y).min()))
        fixed = joined[1].rows(ordered.balanced(joined[1].y, few * number, number))
        held = np.concatenate([np.flatnonzero(fixed.y == k)[: few // HELD] for k in range(number)])
        self.validation = fixed.rows(held)
        self.test = fixed.rows(np.setdiff1d(np.arange(len(fixed.y)), held))

    def seen_by(self, k: int) -> Set:
        """What encoder k is pretrained on (-1: the even one); the same pictures where the tails are the same."""
        tail = self.pretraining[k]
        rng = self.session.rng("data", "pretraining", 0 if self.same and k > 0 else k)
        return self._pool.rows(longtail.subset(self._pool.y, tail.counts[tail.order], tail.order, rng))


def crossed(classes: int, correlation: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two orders as by `longtail.orders`, drawn until each third of the one has a class in each third of the other.

    Where that does not come about (orders that correlate much), the last of 1,000 draws.
    """
    for _ in range(TRIES):
        first, second = longtail.orders(classes, correlation, rng)
        thirds = [np.array_split(order, 3) for order in (first, second)]
        if all(np.intersect1d(a, b).size for a in thirds[0] for b in thirds[1]):
            break
    return first, second


def _parted(pictures: Set, rng: np.random.Generator) -> tuple[Set, Set]:
    """Of each class's pictures the part for pretraining, and the rest."""
    shuffled = rng.permutation(len(pictures.y))
    first, rest = [], []
    for label in range(int(pictures.y.max()) + 1):
        rows = shuffled[pictures.y[shuffled] == label]
        cut = int(PRETRAINING * len(rows))
        first.append(rows[:cut])
        rest.append(rows[cut:])
    return pictures.rows(np.concatenate(first)), pictures.rows(np.concatenate(rest))


def looks(pictures: NDArray[np.float32], crops: int) -> Iterator[NDArray[np.float32]]:
    """The pictures (N, 1, H, W) as they are, and then shifted by 2 pixels up, down, left and right: `crops` of them."""
    _, _, height, width = pictures.shape
    padded = np.pad(pictures, ((0, 0), (0, 0), (2, 2), (2, 2)))
    for down, right in ((2, 2), (4, 2), (0, 2), (2, 4), (2, 0))[:crops]:
        yield padded[:, :, down : down + height, right : right + width]
