"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any

LAST = 50  # steps whose mean is a run's end


def coupling(run: Any) -> float:
    """Correlation of the logit that selects with the weight that is applied, mean over layers and the last 50 steps."""
    return float(run["mean_coupling"].values[-LAST:].mean())
