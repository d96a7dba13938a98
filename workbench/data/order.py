"""Which samples make which batch, as a function of (generator, position) alone: so a run can go on from any sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue


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


class Batches:
    """A batch sampler that knows where it stands, so that a run can go on from any batch.

    ``DataLoader(dataset, batch_sampler=workbench.Batches(len(dataset), 64, seed=seed))``. The order of an epoch is a
    function of (seed, epoch); iterating changes nothing, so any number of loader workers see the same batches.

    Args:
        samples: how many there are.
        batch_size: of a batch; may be changed between epochs.
        seed: of the order.
        shuffle: False: always in order.
        smallest: a last batch of fewer samples is left out (`batch_size`: as DataLoader's ``drop_last``).
    """

    def __init__(
        self, samples: int, batch_size: int, *, seed: int = 0, shuffle: bool = True, smallest: int = 1
    ) -> None:
        if samples < 1 or batch_size < 1:
            raise InvalidValue(f"Batches needs at least 1 sample and 1 a batch; got {samples} and {batch_size}.")
        self.samples, self.batch_size, self.seed, self.shuffle, self.smallest = (
            samples,
            batch_size,
            seed,
            shuffle,
            smallest,
        )
        self.epoch = self.start = 0  # what the next iterator yields: set by the session

    def __len__(self) -> int:
        return count(self.samples, self.batch_size, smallest=self.smallest)

    def __iter__(self) -> Iterator[list[int]]:
        rows = np.arange(self.samples)
        if self.shuffle:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(self.samples)
        for indices in batches(rows, self.batch_size, self.start, smallest=self.smallest):
            yield indices.tolist()
