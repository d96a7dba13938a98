"""Long tails imposed on real data: how many examples each class keeps, and which. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue

Counts = NDArray[np.int64]
PROFILES = ("exponential", "pareto", "step")


def profile(classes: int, largest: int, factor: float, shape: str = "exponential") -> Counts:
    """(C,) examples a class, from the most frequent to the rarest, which has largest / factor of them.

    exponential: n_c = largest * factor^(-c / (C-1)), cut to a whole number (Cui et al. 2019); pareto: n_c proportional
    to (c+1)^-a, a = ln factor / ln C; step: the second half of the classes has largest / factor (Buda et al. 2018).

    Args:
        classes: C, at least 2.
        largest: examples of the most frequent class.
        factor: imbalance factor, 1 (even) or more.

    Raises `InvalidValue` if a class would keep no example.
    """
    if classes < 2 or factor < 1:
        raise InvalidValue(f"A tail needs at least 2 classes and a factor of 1 or more; got {classes} and {factor:g}.")
    if largest < factor:
        raise InvalidValue(
            f"With an imbalance factor of {factor:g} the rarest class would keep {largest / factor:.2g} of {largest} "
            f"examples. Take a factor of at most {largest}, or at least {int(np.ceil(factor))} examples."
        )
    rank = np.arange(classes)
    if shape == "exponential":
        counts = largest * factor ** (-rank / (classes - 1))
    elif shape == "pareto":
        counts = largest * (rank + 1.0) ** (-np.log(factor) / np.log(classes))
    elif shape == "step":
        counts = np.where(rank < classes - classes // 2, largest, largest / factor)
    else:
        raise InvalidValue(f"A profile is one of {', '.join(PROFILES)}; got '{shape}'.")
    return np.floor(counts + 1e-9).astype(np.int64)


def sized(classes: int, total: int, factor: float, shape: str = "exponential") -> Counts:
    """The profile whose sum comes nearest to `total` from below. Raises as `profile` does."""
    share = profile(classes, 10**6, factor, shape) / 1e6
    return profile(classes, int(total / share.sum()), factor, shape)


def subset(labels: NDArray[np.int64], counts: Counts, order: NDArray[np.int64], rng: np.random.Generator) -> Counts:
    """Indices, sorted, of a random sample of `labels` (N,) in which class order[r] has counts[r] examples.

    `order` (C,) is the classes from the most frequent to the rarest. Raises `InvalidValue` for a class that has fewer
    examples than asked of it, with its number.
    """
    kept = []
    for label, number in zip(order.tolist(), counts.tolist(), strict=True):
        own = np.flatnonzero(labels == label)
        if len(own) < number:
            raise InvalidValue(
                f"Class {label} has {len(own)} examples, and the profile asks for {number}. Lower the number of "
                "training examples, or the imbalance factor."
            )
        kept.append(rng.permutation(own)[:number])
    return np.sort(np.concatenate(kept))


def by_class(counts: Counts, order: NDArray[np.int64]) -> Counts:
    """(C,) the profile's counts in the order of the labels: entry order[r] is counts[r]."""
    found = np.empty_like(counts)
    found[order] = counts
    return found


def orders(classes: int, correlation: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two orders of the classes from frequent to rare, whose ranks correlate about as asked (-1 … 1).

    The first is a random permutation; the second sorts correlation * rank + sqrt(1 - correlation^2) * noise, the noise
    being another permutation's ranks: 1 gives the same order, -1 the reverse, 0 an independent one.
    """
    if not -1 <= correlation <= 1:
        raise InvalidValue(f"A correlation lies between -1 and 1; got {correlation:g}.")
    first, noise = rng.permutation(classes), rng.permutation(classes)
    rank, other = np.empty(classes), np.empty(classes)
    rank[first], other[noise] = np.arange(classes), np.arange(classes)
    centre = (classes - 1) / 2
    mixed = correlation * (rank - centre) + np.sqrt(1 - correlation**2) * (other - centre)
    return first, np.argsort(mixed, kind="stable")
