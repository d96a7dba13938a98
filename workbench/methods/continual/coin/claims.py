"""Measurements behind the card's claims that need no training."""

from __future__ import annotations

GRADIENT, CHANGE, DISTANCE = 1e-3, 1e-3, 1e-3  # mean absolute values a tensor's entry, those of the toy


def small_tensors_fall_back(seed: int) -> bool:
    """The formula exceeds 1 for 1,000 entries and lies inside (0, 1) for 100,000 of the same mean magnitudes."""
    import numpy as np

    from workbench.methods.continual.coin.dema import coefficient

    rng = np.random.default_rng(seed)

    def alpha(entries: int) -> float:
        a, b, c = (float(np.abs(rng.laplace(0, s, entries)).sum()) for s in (DISTANCE, GRADIENT, CHANGE))
        return coefficient((a, b, c))

    return alpha(1000) >= 1 and 0 < alpha(100_000) < 1
