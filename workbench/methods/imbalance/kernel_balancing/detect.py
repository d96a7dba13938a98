"""Weights that do not balance, and weights of which a few carry everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting


class UnbalancedPropensity(Lasting):
    """With a propensity in use the largest gap stays above .05 for two looks."""

    id = "unbalanced_propensity"
    title = "The propensity does not balance"
    needs = sees = ("max_balance_gap",)
    remedy = "Balance kernel functions on top of it: balance = dual."
    lasting = 2
    patience = 1
    LARGE: ClassVar[float] = 0.05

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        gap = self.known["max_balance_gap"]
        return {"bad": gap / self.LARGE, "gap": gap} if gap > self.LARGE else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            "A simple function of person and film has a weighted mean over the rated pairs that is "
            f"{evidence['gap']:.2f} off its mean over all pairs"
        )


class WeightsDegenerate(Lasting):
    """The effective sample size is below .2 for two looks."""

    id = "weights_degenerate"
    title = "Few ratings carry the estimate"
    needs = sees = ("effective_sample_size",)
    remedy = "Raise the slack, balance fewer functions, or clip the weights lower."
    lasting = 2
    patience = 1
    FEW: ClassVar[float] = 0.2

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        share = self.known["effective_sample_size"]
        return {"bad": self.FEW / max(share, 1e-6), "share": share} if share < self.FEW else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"The weights are worth an even weighting of {evidence['share']:.0%} of the ratings"


class OutOfReach(Lasting):
    """No weights bring every function within the slack, for two looks."""

    id = "out_of_reach"
    title = "Balance is out of reach"
    needs = sees = ("balanced",)
    remedy = "Raise the slack, balance fewer functions, or widen them: the rated pairs do not reach everywhere."
    lasting = 2
    patience = 1

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        return {"bad": 1.0} if self.known["balanced"] == 0 else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return "No weights of the rated pairs bring every function within the slack"
