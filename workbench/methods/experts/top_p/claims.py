"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any


def smallest(run: Any) -> float:
    """Synergy of the domain with the least text, nats a byte."""
    return float(run["synergy"].values[-1][-1])


def rescued(runs: Any) -> bool:
    """Whether the smallest domain ends no worse than its specialist in the first run and .05 worse in the second."""
    ours, naive = (smallest(run) for run in runs)
    return ours >= 0 and naive < -0.05


def spread(run: Any) -> float:
    """Mean number of experts of the domain that takes most, minus that of the one that takes fewest."""
    found = run["domain_number"].values[-1]
    return float(found.max() - found.min())
