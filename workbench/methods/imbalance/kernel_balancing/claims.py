"""Measurements behind the card's claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def left_of_the_way(runs: Sequence[Any]) -> float:
    """Below 0 if the first run's risk error is nearer to the last's than to the second's (kernel, naive, true)."""
    kernel, naive, true = (float(run["risk_error"].values[-1]) for run in runs)
    return kernel - (naive + true) / 2
