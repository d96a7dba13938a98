"""What goes wrong between selecting experts and weighing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.detect import Collapse, Jump

__all__ = ["Collapse", "Coupled", "Monopoly", "ScaledStart"]


class Coupled(Lasting):
    """The logit that selects and the weight that is applied correlate by more than .955 under a balancing loss.

    For 100 steps. Measured over the last two thirds of runs with two experts a byte: .973 to .984 with one router for
    both, .835 to .938 with an adapter, .19 to .46 with concatenated selection.
    """

    id = "coupled"
    title = "Selection and weight are one"
    needs = ("mean_coupling", "alpha")
    sees = ("mean_coupling",)
    remedy = "Give the weights an adapter of their own: variant=adamoe."
    lasting = 100
    HIGH: ClassVar[float] = 0.955

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        found = self.known["mean_coupling"]
        return {"coupling": found} if found > self.HIGH and self.known.get("alpha", 1) > 0 else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            "What the balancing loss does to the selection it does to the experts' weights, too (correlation "
            f"{evidence['coupling']:.2f})"
        )


class Monopoly(Lasting):
    """Half of the bytes give over 95 % of their weight to one of two experts or more, for 100 steps."""

    id = "monopoly"
    title = "One expert takes it all"
    needs = ("median_gate_share", "top_k")
    sees = ("median_gate_share",)
    remedy = "Use variant=adamoe, or raise alpha: the other experts are computed for nothing."
    lasting = 100
    HIGH: ClassVar[float] = 0.95

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        share = self.known["median_gate_share"]
        return {"share": share} if share > self.HIGH and self.known.get("top_k", 2) > 1 else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"Half of the bytes give at least {evidence['share']:.1%} of their weight to one expert"


class ScaledStart(Jump):
    """The mixture's loss on validation text begins more than .01 nats a byte above the dense network's.

    Measured after 150 dense steps, two of four experts: .022 at the released scale, below .0004 in size with it kept.
    """

    id = "scaled_start"
    title = "The copies begin at another scale"
    needs = ("upcycle_jump",)
    curve = "valid_ce"
    remedy = "Set renormalise_init=true."
    HIGH: ClassVar[float] = 0.01

    def told(self, value: float) -> str:
        """See `Jump.told`."""
        return f"Weights that add up to less than 1 shrink the copied network: the loss rose by {value:.3g} nats a byte"
