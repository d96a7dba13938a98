"""What goes wrong when the number of experts is free, and when domains train together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting

__all__ = ["CapacitySaturated", "NegativeSynergy", "NullSink"]


class CapacitySaturated(Lasting):
    """Bytes take over 80 % of the routed and null experts on average, or hardly more than one, for 100 steps."""

    id = "capacity_saturated"
    title = "The number of experts is a constant"
    needs = ("number", "experts", "n_null", "top_p")
    sees = ("number",)
    remedy = "Move top_p: at this value every byte takes as many experts."
    lasting = 100
    SHARE: ClassVar[float] = 0.8
    ONE: ClassVar[float] = 1.1

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        number, most = self.known["number"], self.known.get("experts", 4) + self.known.get("n_null", 1)
        if not self.known.get("top_p", 1) or self.ONE <= number <= self.SHARE * most:
            return None
        return {"number": number, "of": most}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"Bytes take {evidence['number']:.2f} of {evidence['of']:.0f} experts, hard ones or easy ones alike"


class NullSink(Lasting):
    """Over 60 % of the choices are null experts, for 100 steps."""

    id = "null_sink"
    title = "Bytes flee to null experts"
    needs = ("null_share",)
    sees = ("null_share",)
    remedy = "Take fewer null experts, or raise alpha: the balancing loss counts them, too."
    lasting = 100
    HIGH: ClassVar[float] = 0.6

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        share = self.known["null_share"]
        return {"share": share} if share > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"{evidence['share']:.0%} of the choices are experts that return nothing"


class NegativeSynergy(Lasting):
    """A domain's loss is over .05 nats a byte above its own specialist's at 4 looks in a row."""

    id = "negative_synergy"
    title = "Worse than a specialist"
    needs = ("worst_synergy",)
    sees = ("worst_synergy",)
    remedy = "Use the curriculum: specialists first, then the gate, then everything on balanced text."
    lasting = 4
    patience = 1
    HIGH: ClassVar[float] = 0.05

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        worst = self.known["worst_synergy"]
        return {"lost": -worst} if worst < -self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"The mixture serves a domain worse than a network of its own would, by {evidence['lost']:.2f} nats a byte"
        )
