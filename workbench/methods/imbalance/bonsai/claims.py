"""Measurements behind the card's claims: spreads over seeds, in percentage points."""

from __future__ import annotations

from typing import Any

import numpy as np


def steadier(seeds: Any) -> float:
    """Half the standard deviation over seeds of the second arm's last worst accuracy, minus the first arm's."""
    first, second = (np.std([float(runs[k]["worst_test_acc"].values[-1]) for runs in seeds], ddof=1) for k in (0, 1))
    return float(second / 2 - first)
