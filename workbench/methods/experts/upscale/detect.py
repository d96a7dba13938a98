"""What goes wrong when a network grows, and when its copies become experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.detect import Jump

__all__ = ["ExpertsIdentical", "GrowthJump", "StuckSymmetry"]


class GrowthJump(Jump):
    """The grown network's loss on validation text begins more than .05 nats a byte above the small one's."""

    id = "growth_jump"
    title = "Growth forgets"
    needs = ("growth_jump", "width_rule", "depth_rule", "width_factor")
    curve = "border_ce"
    remedy = "To keep the function: width_rule=fpi, depth_rule=zero_residual and a whole width_factor."
    severity = "warning"
    HIGH: ClassVar[float] = 0.05

    def told(self, value: float) -> str:
        """See `Jump.told`."""
        factor = float(self.known.get("width_factor", 2))
        if self.known.get("width_rule") == "fpi" and factor != int(factor):
            why = f" (a width factor of {factor:g} copies some units more often than others, which the norms see)"
        elif self.known.get("width_rule") == "random":
            why = " (fresh weights beside the old ones)"
        elif self.known.get("depth_rule", "zero_residual") != "zero_residual":
            why = " (new layers act at once)"
        else:
            why = ""
        return f"Growth raised the loss by {value:.3g} nats a byte{why}"


class StuckSymmetry(Lasting):
    """Copies of a neuron are still the same, cosine above .99 on average, 100 steps after growth."""

    id = "stuck_symmetry"
    title = "Copies stay alike"
    needs = ("symmetry",)
    sees = ("symmetry",)
    remedy = "Grow with width_rule=aki: take the added neurons from the next layer."
    lasting = 100
    HIGH: ClassVar[float] = 0.99

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        return {"symmetry": self.known["symmetry"]} if self.known["symmetry"] > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Added neurons are still copies of old ones (cosine {evidence['symmetry']:.4f}): the grown network is no "
            "larger than the small one was"
        )


class ExpertsIdentical(Lasting):
    """Experts are still copies of one another, mean cosine above .995, 150 steps after they were made."""

    id = "experts_identical"
    title = "Experts stay alike"
    needs = ("mean_expert_similarity",)
    sees = ("mean_expert_similarity",)
    remedy = "Add expert_noise, or balance more: raise alpha."
    lasting = 150
    HIGH: ClassVar[float] = 0.995

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        alike = self.known["mean_expert_similarity"]
        return {"similarity": alike} if alike > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"The experts are still one another's copies (mean cosine {evidence['similarity']:.4f})"
