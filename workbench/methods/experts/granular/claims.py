"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any


def kept(runs: Any) -> bool:
    """Whether the first run keeps the loss within 1e-4 nats at the cut, and the second loses more than .05."""
    exact, fresh = (float(run["upcycle_jump"].values[-1]) for run in runs)
    return abs(exact) < 1e-4 and fresh > 0.05


def patterned(run: Any) -> float:
    """1 if the last layer has 1.5 to 3.5 partners and less entropy of partners than the first, else 0."""
    partners, entropy = (run[name].values[-1] for name in ("partners", "partner_entropy"))
    return float(1.5 <= partners[-1] <= 3.5 and entropy[-1] < entropy[0])
