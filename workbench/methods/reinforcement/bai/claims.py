"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any


def growth(run: Any) -> float:
    """By how many tokens responses to sums are longer at the end than at the start, on fixed prompts."""
    return float(run["eval_length"].values[-1] - run["start_length"].values[-1])
