"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any


def recalled(run: Any) -> float:
    """Labels recalled an epoch, mean over all epochs."""
    return float(run["recalled_per_epoch"].values.mean())


def precision(run: Any) -> float:
    """Per cent of the recalled labels that are true, mean over the epochs in which some were recalled."""
    return float(run["recall_precision"].values.mean())
