"""Measurements behind the card's claims: what runs end with, in percentage points."""

from __future__ import annotations

from typing import Any


def _last(run: Any, name: str) -> float:
    return float(run[name].values[-1])


def gap_left(run: Any) -> float:
    """The gap by pretraining minus twice the size of that by downstream frequency."""
    return _last(run, "gap_P") - 2 * abs(_last(run, "gap_D"))


def bias_left(run: Any) -> float:
    """The models' gaps by their own pretraining beyond those of an even encoder, mean over the models."""
    return float(run["bias_P_models"].values[-1].mean())


def size_of_gap(run: Any) -> float:
    """Size of the gap by model 0's pretraining order."""
    return abs(_last(run, "gap_P"))


def over_best_single(run: Any) -> float:
    """Balanced accuracy of the mix minus that of the best of its models."""
    return _last(run, "balanced_accuracy") - _last(run, "best_single")
