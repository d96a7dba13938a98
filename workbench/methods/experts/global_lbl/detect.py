"""What a balancing loss over small groups gets wrong: balanced but generic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.detect import Collapse

__all__ = ["Collapse", "OverBalanced"]


class OverBalanced(Lasting):
    """Loads are even and every domain uses every expert alike, 50 steps long.

    Mean specialisation below 0.08 and the worst layer's imbalance below 0.8, with a balancing loss over groups of fewer
    than 8 sequences.
    """

    id = "over_balanced"
    title = "Balanced but generic"
    needs = ("mean_specialisation", "worst_violation", "alpha", "balance_group", "balancing")
    sees = ("mean_specialisation", "worst_violation", "balance_group")
    remedy = "Raise balance_group: balance the batch, not every sequence."
    lasting = 50
    LOW: ClassVar[float] = 0.08
    EVEN: ClassVar[float] = 0.8
    SMALL: ClassVar[int] = 8

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        special, worst = self.known["mean_specialisation"], self.known["worst_violation"]
        balanced = self.known.get("alpha", 1) > 0 and self.known.get("balancing", "loss") == "loss"
        if not balanced or self.known["balance_group"] >= self.SMALL or special >= self.LOW or worst >= self.EVEN:
            return None
        return {"specialisation": special, "violation": worst}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Loads are even (the worst {evidence['violation']:.2f} above an even share), and every domain uses every "
            f"expert alike (specialisation {evidence['specialisation']:.3f})"
        )
