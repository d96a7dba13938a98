"""Which samples make which batch, as a function of (generator, position) alone: so a run can go on from any sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def batches(order: NDArray[np.int64], size: int, start: int = 0, *, smallest: int = 1) -> Iterator[NDArray[np.int64]]:
    """Indices of each batch of an epoch, from sample `start` on.

    Args: order (N,) the epoch's order, for example ``session.rng("data", epoch).permutation(n)``; size of a batch;
    start in samples; smallest: a last batch of fewer samples is left out (2 for batch norm).
    """
    for low in range(start, len(order), size):
        if len(order) - low >= smallest:
            yield order[low : low + size]


def count(samples: int, size: int, start: int = 0, *, smallest: int = 1) -> int:
    """How many batches `batches` yields."""
    full, rest = divmod(samples - start, size)
    return full + (rest >= max(smallest, 1))


def balanced(labels: NDArray[np.int64], number: int, classes: int) -> NDArray[np.int64]:
    """Indices of the first number // classes samples of every class, sorted; of all that there are, if fewer.

    On such a set a constant prediction errs on exactly 1 - 1/classes of the samples.
    """
    counts = np.bincount(labels, minlength=classes)
    each = min(max(number // classes, 1), int(counts.min()))
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[:each] for k in range(classes)]))
