"""What goes wrong when a dense network is cut into experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.detect import Jump

__all__ = ["FrozenCliques", "NoStructure", "UpcycleJump"]


class UpcycleJump(Jump):
    """The mixture's loss on validation text begins more than .02 nats a byte above the dense network's."""

    id = "upcycle_jump"
    title = "The split is not exact"
    needs = ("upcycle_jump", "router_init", "weights", "break_symmetry")
    curve = "border_ce"
    remedy = "Set router_init=grouped with renormalised weights and no noise."
    HIGH: ClassVar[float] = 0.02

    def told(self, value: float) -> str:
        """See `Jump.told`."""
        if self.known.get("weights") == "softmax":
            part = "the chosen experts' weights do not add up to the number of slices"
        elif self.known.get("router_init") == "grouped":
            part = "the noise on the experts is too large"
        else:
            part = "a byte's experts are not the slices of one copy"
        return f"The split is not exact, {part}: the loss rose by {value:.3g} nats a byte"


class FrozenCliques(Lasting):
    """Over 90 % of the bytes still go to exactly one copy, for 200 steps: the router never left its beginning."""

    id = "frozen_cliques"
    title = "Slices stay together"
    needs = ("mean_one_copy", "granularity")
    sees = ("mean_one_copy",)
    remedy = "Raise router_lr_mult, or break_symmetry."
    lasting = 200
    HIGH: ClassVar[float] = 0.9

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        share = self.known["mean_one_copy"]
        if self.known.get("granularity", 2) < 2 or share <= self.HIGH:
            return None
        return {"one_copy": share}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"{evidence['one_copy']:.0%} of the bytes go to all slices of one copy, as in the beginning"


class NoStructure(Lasting):
    """No two experts are chosen together more or less often than by chance: every lift within 10 % of 1."""

    id = "no_structure"
    title = "Experts without partners"
    needs = ("lift_spread", "granularity")
    sees = ("lift_spread",)
    remedy = "Lower alpha, or raise router_lr_mult: the router has learned nothing."
    lasting = 4  # looks at validation text
    patience = 2
    LOW: ClassVar[float] = 0.1

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        spread = self.known["lift_spread"]
        return {"lift_spread": spread} if self.known.get("granularity", 2) > 1 and spread < self.LOW else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"Which expert is chosen says nothing of the others (lifts within {evidence['lift_spread']:.0%} of 1)"
