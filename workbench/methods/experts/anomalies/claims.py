"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any

import numpy as np

WINDOW = 50


def area(run: Any) -> float:
    """Σ max(0, loss − running median of the 50 before) over the batches that are text, nats/byte · steps.

    The loss of injected noise is left out: no handling can lower it; what counts is what it leaves behind.
    """
    losses = np.asarray(run.reader.scalars("text_ce").values)
    windows = np.lib.stride_tricks.sliding_window_view(losses[:-1], WINDOW)
    return float(np.maximum(0.0, losses[WINDOW:] - np.median(windows, axis=1)).sum())


def false_alarms(run: Any) -> float:
    """Skipped batches per 1,000 steps of a run in which nothing is injected, less the one that is allowed."""
    skipped = np.asarray(run.reader.scalars("guard_skipped").values)
    return 1000.0 * float(skipped.sum()) / len(skipped) - 1.0


def early_imbalance(run: Any) -> float:
    """The worst layer's imbalance at step 20."""
    points = run.reader.scalars("worst_violation", 20, 20)
    return float(points.values[0])
