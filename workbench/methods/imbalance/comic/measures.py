"""How well labels are ranked, and how far probabilities are from frequencies. NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def average_precision(scores: Floats, labels: NDArray[np.bool_]) -> Floats:
    """(C,) area under precision against recall of each class, by the sum over thresholds; NaN for a class never true.

    Scores and labels (N, C). Equal scores are one threshold, as in scikit-learn and torchmetrics.
    """
    found = np.full(scores.shape[1], np.nan)
    for c, (score, label) in enumerate(zip(scores.T, labels.T, strict=True)):
        if not label.any():
            continue
        order = np.argsort(-score, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
        right = np.cumsum(label[order])[ends]
        found[c] = np.sum(np.diff(right, prepend=0) / right[-1] * right / (ends + 1))
    return found


def reliability(p: Floats, labels: NDArray[np.bool_], bins: int = 10) -> tuple[Floats, Floats]:
    """Mean probability and share of true labels in `bins` groups of equally many predictions, (bins,) each."""
    order = np.argsort(p, axis=None, kind="stable")
    parts = np.array_split(order, bins)
    values, truth = p.ravel(), labels.ravel()
    return np.array([values[i].mean() for i in parts]), np.array([truth[i].mean() for i in parts])
