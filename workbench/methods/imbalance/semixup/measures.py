"""What is measured of answers: agreement on an ordinal scale, spread, and where four of them lie. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def quadratic_kappa(table: NDArray[np.int64]) -> float:
    """Cohen's kappa with quadratic weights of counts (C, C), true × predicted; 0 if all is one class."""
    classes, counts = len(table), table.astype(np.float64)
    weight = (np.arange(classes)[:, None] - np.arange(classes)) ** 2
    chance = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    by_chance = float((weight * chance).sum())
    return 1 - float((weight * counts).sum()) / by_chance if by_chance else 0.0


def mean_error(table: NDArray[np.int64]) -> float:
    """Mean absolute error in grades."""
    off = np.abs(np.arange(len(table))[:, None] - np.arange(len(table)))
    return float((off * table).sum() / table.sum())


def entropy(p: Array) -> Array:
    """Of probabilities (…, C), in units of ln C: 1 is an even guess."""
    found: Array = -(p * np.log(np.maximum(p, 1e-12))).sum(-1) / np.log(p.shape[-1])
    return found


def told_apart(p: Array) -> tuple[float, float]:
    """Of answers (N, C): entropy of their mean, and that minus the mean of their entropies; units of ln C.

    The second is what an answer says about its picture: 0 if all answers are the same.
    """
    of_mean = float(entropy(p.mean(0)))
    return of_mean, max(of_mean - float(entropy(p).mean()), 0.0)


def plane(p: Array) -> tuple[Array, Array]:
    """The two principal axes (2, C) of answers (N, C), and their mean (C,).

    Signs are fixed so that charts do not flip: the first axis grows with the grade, the second with its distance from
    the middle one.
    """
    mean = p.mean(0)
    axes = np.linalg.svd(p - mean, full_matrices=False)[2][:2]
    grade = np.arange(p.shape[1]) - (p.shape[1] - 1) / 2
    for axis, direction in zip(axes, (grade, np.abs(grade)), strict=True):
        if axis @ direction < 0:
            axis *= -1
    return axes, mean
