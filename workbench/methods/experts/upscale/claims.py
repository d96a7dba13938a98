"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any

FASTER = 0.7


def _spent(run: Any, target: float, signal: str) -> float:
    """Steps, or operations, until the loss on validation text is at most `target`; all of them if it never is."""
    losses = run["valid_ce"]
    reached = losses.steps[losses.values <= target]
    spent = run[signal]
    at = int(reached[0]) if len(reached) else int(spent.steps[-1])
    return float(at) if signal == "ce" else float(spent.values[spent.steps <= at][-1])


def _target(run: Any) -> float:
    return float(run["valid_ce"].values[-1])


def bytes_to_target(runs: Any) -> float:
    """Steps that the first run needs for the last one's final loss, minus .7 times those that the last one needs."""
    target = _target(runs[-1])
    return _spent(runs[0], target, "ce") - FASTER * _spent(runs[-1], target, "ce")


def operations_to_target(runs: Any) -> float:
    """The same with operations, in units of what the last run needs."""
    target = _target(runs[-1])
    whole = _spent(runs[-1], target, "flops")
    return _spent(runs[0], target, "flops") / whole - FASTER


def rules_to_target(runs: Any) -> float:
    """Steps that the first run needs for the last one's final loss, minus those that the second needs."""
    target = _target(runs[-1])
    return _spent(runs[0], target, "ce") - _spent(runs[1], target, "ce")
