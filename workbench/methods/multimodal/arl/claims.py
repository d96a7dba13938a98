"""Measurements behind the card's claims."""

from __future__ import annotations

from typing import Any


def underuse(run: Any) -> float:
    """How far the more neglected read-out stays behind its modality trained alone, at the run's end, in points."""
    return max(float(run[f"underuse_{m}"].values[-1]) for m in ("a", "v"))
