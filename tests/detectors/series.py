"""Series with a known phenomenon in them, for the detectors' tests."""

import itertools

import numpy as np

from workbench.detectors import Detectors, generic


def decay(n=2000, seed=0, start=2.0, end=0.3, noise=0.05):
    """A healthy training loss: exponential decay with noise."""
    rng = np.random.default_rng(seed)
    return end + (start - end) * np.exp(-np.arange(n) / (n / 5)) + noise * rng.standard_normal(n)


def watch(detector_id, columns, steps=None, cuts=()):
    """All findings told, in order, by one generic detector over columns cut into blocks at `cuts`, then finished."""
    detectors = Detectors([generic()[detector_id]()])
    n = len(next(iter(columns.values())))
    steps = np.arange(n) if steps is None else steps
    told = []
    borders = [0, *sorted(cuts), n]
    for low, high in itertools.pairwise(borders):
        if high > low:
            told += detectors.update_block(steps[low:high], {k: v[low:high] for k, v in columns.items()})
    return told + detectors.finish(int(steps[-1]))


def newest(told):
    """The latest version of each finding."""
    return list({finding.key: finding for finding in told}.values())
