"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any

import numpy as np

LAST = 3  # evaluations whose mean is a run's end: one has a deviation of .03


def ood(run: Any) -> float:
    """Accuracy on longer sums at the end."""
    return float(run["eval_accuracy_ood"].values[-LAST:].mean())


def ood_spread(seeds: Any) -> float:
    """Deviation over seeds of that accuracy, the first arm's minus the second's."""
    ends = np.array([[ood(run) for run in runs] for runs in seeds])
    first, second = ends.std(axis=0, ddof=1)
    return float(first - second)


def fall(run: Any) -> float:
    """By how much mu is lower at the end than after the warm-up."""
    mu = run["mixing_weight"].values
    mu = mu[mu < 1]
    return float(mu[0] - mu[-1]) if len(mu) else 0.0
