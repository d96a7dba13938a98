"""What a selection bias gets wrong: steps too small ever to catch up, or so large that each overshoots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.detect import Collapse

__all__ = ["BiasChatter", "BiasWindup", "Collapse"]


class BiasWindup(Lasting):
    """Biases part further at every step while the worst layer's busiest expert keeps over 1.7 times an even share.

    For 100 steps in a row.
    """

    id = "bias_windup"
    title = "The bias does not catch up"
    needs = ("widest_bias", "worst_violation")
    sees = ("widest_bias", "worst_violation")
    remedy = "Raise u: the bias is small against the scores."
    lasting = 100
    HIGH: ClassVar[float] = 0.7
    KEPT = ("before",)

    def __init__(self) -> None:
        super().__init__()
        self.before = 0.0

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        width, worst = self.known["widest_bias"], self.known["worst_violation"]
        grew, self.before = width > self.before, width
        return {"width": width, "violation": worst} if grew and worst > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Selection biases part further at every step ({evidence['width']:.2g} by now), and the busiest expert "
            f"still gets {1 + evidence['violation']:.1f} times an even share"
        )


class BiasChatter(Lasting):
    """Over half of the experts swing from above an even load to below or back at every step, by much, 50 steps long.

    Measured: 62 to 92 % of them a step with a step size of .1, 0 to 46 % (nine in ten steps) with ones that balance.
    """

    id = "bias_chatter"
    title = "The bias overshoots"
    needs = ("chatter", "worst_violation")
    sees = ("chatter", "worst_violation")
    remedy = "Lower u, or let it fall: rule inv_sqrt_n or inv_n."
    SWINGS: ClassVar[float] = 0.55
    HIGH: ClassVar[float] = 0.3

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        swings, worst = self.known["chatter"], self.known["worst_violation"]
        return {"swings": swings, "violation": worst} if swings > self.SWINGS and worst > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"{evidence['swings']:.0%} of the experts swing across an even load from one step to the next, and the "
            f"busiest gets {1 + evidence['violation']:.1f} times an even share"
        )
