"""Kernel functions of user-item pairs around basis points, and the authors' feature scaling. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
from workbench.methods.imbalance.kernel_balancing.names import KERNELS

Array = NDArray[np.float64]

_BLOCK = 1 << 22  # numbers of a distance matrix held at once


def shipped_features(values: Array) -> Array:
    """f - min / (max - min), then over the number of columns: as released, without brackets round the difference.

    min and max are those of the array given, so that observed, sampled and basis points are shifted differently.
    """
    low, high = values.min(), values.max()
    found: Array = (values - low / (high - low)) / values.shape[1]
    return found


def squared_distances(points: Array, basis: Array) -> Array:
    """(N, J) squared Euclidean distances of points (N, d) and basis points (J, d)."""
    product = (points**2).sum(1)[:, None] + (basis**2).sum(1)[None] - 2 * points @ basis.T
    return np.maximum(product, 0.0)


def kernel(points: Array, basis: Array, *, kind: str, rate: float) -> Array:
    """(N, J) gaussian exp(-rate d^2) or laplace exp(-rate d), d the distance."""
    if kind not in KERNELS:
        raise InvalidValue(f"A kernel is one of {', '.join(KERNELS)}; got '{kind}'.")
    square = squared_distances(points, basis)
    found: Array = np.exp(-rate * (square if kind == "gaussian" else np.sqrt(square)))
    return found


def mean_kernel(points: Array, basis: Array, *, kind: str, rate: float) -> Array:
    """(J,) mean over points (N, d), a block at a time: memory does not grow with N."""
    block = max(1, _BLOCK // max(len(basis), 1))
    total = np.zeros(len(basis))
    for low in range(0, len(points), block):
        total += kernel(points[low : low + block], basis, kind=kind, rate=rate).sum(0)
    return total / len(points)


def rate_of(points: Array, bandwidth: float, *, kind: str, rng: np.random.Generator, sample: int = 512) -> float:
    """The rate whose width is `bandwidth` times the median distance: 1 / (2 w^2), for laplace 1 / w."""
    some = points[rng.choice(len(points), min(sample, len(points)), replace=False)]
    apart = np.sqrt(squared_distances(some, some))[np.triu_indices(len(some), 1)]
    middle = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
    width = bandwidth * middle
    return 1 / (2 * width**2) if kind == "gaussian" else 1 / width
