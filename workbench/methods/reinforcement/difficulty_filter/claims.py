"""Measurements behind the card's claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.methods.reinforcement.difficulty_filter.filter import best_rate, quadratic, reach

LAST = 3  # evaluations whose mean is the final accuracy


def final(run: Any) -> float:
    """Accuracy on fixed prompts, mean of the last three evaluations."""
    return float(np.mean(run["accuracy"].values[-LAST:]))


def late_steps(runs: Sequence[Any]) -> float:
    """Step at which the first run reaches the other's final accuracy, minus .7 of the step at which that one does."""
    first, other = _both_reach(runs, "steps")
    return first - 0.7 * other


def late_rollouts(runs: Sequence[Any]) -> float:
    """Rollouts that the first run takes to the other's final accuracy, over those that the other takes, minus 1."""
    first, other = _both_reach(runs, "rollouts")
    return first / other - 1


def _both_reach(runs: Sequence[Any], by: str) -> tuple[float, float]:
    first, other = runs
    goal = final(other)
    return _reached(first, goal, by), _reached(other, goal, by)


def _reached(run: Any, goal: float, by: str) -> float:
    """Where the accuracy first gets to `goal`, between evaluations in proportion; at the end if it never does."""
    accuracy = np.asarray(run["accuracy"].values)
    along = run["accuracy"].steps if by == "steps" else run["accuracy_rollouts"].values
    along = np.asarray(along, dtype=np.float64)
    there = np.flatnonzero(accuracy >= goal)
    if not len(there):
        return float(along[-1])
    i = int(there[0])
    if i == 0:
        return float(along[0])
    share = (goal - accuracy[i - 1]) / (accuracy[i] - accuracy[i - 1])
    return float(along[i - 1] + share * (along[i] - along[i - 1]))


def variance_is_the_limit(seed: int) -> bool:
    """At beta 10 exact KL and p (1 - p) / (2 beta²) differ by at most 4 % of it, at pass rates drawn from .01 to .99.

    Besides, the best pass rate is one half there, and below .43 at beta 1.
    """
    p = np.random.default_rng(seed).uniform(0.01, 0.99, 1000)
    off = np.abs(reach(p, 10) / quadratic(p, 10) - 1).max()
    return bool(off < 0.04 and abs(best_rate(10) - 0.5) < 0.01 and best_rate(1) < 0.43)
