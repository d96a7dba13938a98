"""What goes wrong where specialists are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting
from workbench.methods.experts._shared.detect import Jump

__all__ = ["AttentionCollapse", "Behind", "MergeDamage"]


class MergeDamage(Jump):
    """With averaged attention the mixture begins more than .05 nats a byte above the one with attention experts."""

    id = "merge_damage"
    title = "Averaged attention forgets"
    needs = ("merge_damage", "attention")
    curve = "border_ce"
    remedy = "Keep the specialists' attention: attention=experts."
    HIGH: ClassVar[float] = 0.05

    def told(self, value: float) -> str:
        """See `Jump.told`."""
        return (
            f"The mean of the specialists' attention begins {value:.3g} nats a byte above a soft mix of their attention"
        )


class Behind(Lasting):
    """At six looks in a row the mixture's loss is more than .05 nats a byte above its specialists' on their domains."""

    id = "behind_specialists"
    title = "Mixed and still behind"
    needs = ("behind",)
    sees = ("behind",)
    remedy = "Keep the specialists' attention: attention=experts; or mix earlier: lower branch_steps."
    lasting = 6  # looks at validation text
    patience = 1
    HIGH: ClassVar[float] = 0.05

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        return {"behind": self.known["behind"]} if self.known["behind"] > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"The mixture is {evidence['behind']:.3g} nats a byte behind the specialists that it was made of"


class AttentionCollapse(Lasting):
    """In some layer one attention expert has more than .9 of the weight on every domain, for 50 steps."""

    id = "attention_collapse"
    title = "One attention for all"
    needs = ("attention_top",)
    sees = ("attention_top",)
    remedy = "Lower the learning rate or router_std; or fork from before it."
    HIGH: ClassVar[float] = 0.9

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        top = max(self.known["attention_top"])
        return {"weight": top} if top > self.HIGH else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"In a layer one attention expert has at least {evidence['weight']:.0%} of the weight on every domain"
