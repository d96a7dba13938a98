"""What goes wrong when the number of experts is free, and when domains train together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.knobs import DOMAINS

__all__ = ["CapacitySaturated", "NegativeSynergy", "NullSink"]


class CapacitySaturated(Lasting):
    """Bytes take over 80 % of the routed and null experts on average, or hardly more than one, for 100 steps.

    Measured on the tour, of 5: 2.3 to 4.0 with a top p of .7, and all 5 with one of .95.
    """

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
    """Over 60 % of the choices are null experts, for 100 steps.

    Measured on the tour: 10 to 27 % with one null expert, 46 to 50 % with four; no arm went above 60.
    """

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
    """A domain's loss is over .05 nats a byte above its own specialist's at 4 looks in a row.

    Measured on the tour: .10 to .36 from the first look to the end of joint training, the same domain throughout; a new
    mixture of specialists begins up to 1.2 above some and is below .05 within 150 steps.
    """

    id = "negative_synergy"
    title = "Worse than a specialist"
    needs = ("worst_synergy", "synergy")
    sees = ("worst_synergy",)
    remedy = "Use the curriculum, or at least balanced text: a small domain is seldom seen in joint training."
    lasting = 4
    patience = 1
    HIGH: ClassVar[float] = 0.05

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        worst = self.known["worst_synergy"]
        if worst >= -self.HIGH:
            return None
        every = list(self.known.get("synergy", ()))
        return {"lost": -worst} | ({"domain": every.index(min(every))} if every else {})

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        domain = f"the domain {DOMAINS[int(evidence['domain'])]}" if "domain" in evidence else "a domain"
        return (
            f"The mixture serves {domain} worse than a network of its own would, by {evidence['lost']:.2f} nats a byte"
        )
