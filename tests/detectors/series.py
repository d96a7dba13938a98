"""Series with a known phenomenon in them, for the detectors' tests."""

import itertools

import numpy as np

from workbench.detectors import Detectors, generic


def decay(n=2000, seed=0, start=2.0, end=0.3, noise=0.05):
    """A healthy training loss: exponential decay with noise."""
    rng = np.random.default_rng(seed)
    return end + (start - end) * np.exp(-np.arange(n) / (n / 5)) + noise * rng.standard_normal(n)


def rollouts(n=60, seed=0, noise=0.04):
    """The shape of a healthy run: reward rising from 0.4 to 0.8, lengths, entropy and KL that move a little."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, n)
    return {
        "reward": 0.4 + 0.4 * x + noise * rng.standard_normal(n),
        "length": 25 - 3 * x + 0.3 * rng.standard_normal(n),
        "truncated": np.full(n, 0.02),
        "entropy": 0.4 - 0.15 * x + 0.01 * rng.standard_normal(n),
        "kl_sequence": 8 * np.sqrt(x) + 0.2 * rng.standard_normal(n),
        "group_zero_std": np.clip(0.2 + 0.3 * x + 0.05 * rng.standard_normal(n), 0, 1),
        "value_mse": 0.15 + 0.02 * rng.standard_normal(n),
        "return_var": np.full(n, 0.2),
    }


def valley(n, start, low, end, bottom):
    """A drawn V: straight from `start` to `low` at index `bottom`, straight on to `end`."""
    return np.interp(np.arange(n), [0, bottom, n - 1], [start, low, end])


def troubled(rng, n, calm=False):
    """Signals of a language model's reinforcement learning, with trouble for their detectors; `calm` from the start."""
    columns = rollouts(n, int(rng.integers(1000)))
    columns["reward"] += 0.3 * np.sin(np.arange(n) / rng.uniform(10, 40)) - 0.3 * (np.arange(n) % 300 > 200)
    columns["length"][10:400] *= rng.uniform(0.3, 0.7)
    columns["entropy"] = np.full(n, 0.02) if calm else 0.6 * np.exp(-np.arange(n) / 30)
    columns["kl_sequence"] = np.abs(30 * np.sin(np.arange(n) / 60)) + 0.1
    columns["group_zero_std"][100:300] = columns["group_zero_std"][500:520] = 0.95
    columns["value_mse"] = 0.3 - 0.2 * np.sin(np.arange(n) / 50)
    for values in columns.values():
        values[2:][rng.random(n - 2) < 0.01] = np.nan
    return columns


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
