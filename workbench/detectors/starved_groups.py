"""Groups of responses whose rewards are all alike, so that nothing is learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from workbench.detectors.quantities import Lasting


class StarvedGroups(Lasting):
    """The running mean (0.8 old + 0.2 new) of the share of groups whose rewards differ is below 0.3, ten values long.

    An advantage relative to the group is 0 in all others: the batch is in truth so much smaller. Healthy: above 0.6.
    """

    id = "starved_groups"
    title = "Starved groups"
    quantities = ("group_zero_std",)
    told = quantities
    remedy = (
        "Keep the prompts that are neither too easy nor too hard (a balanced filter on their pass rate), mix in "
        "others, or draw more responses a prompt."
    )
    least: ClassVar[float] = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.mean: float | None = None

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        share = 1.0 - seen["group_zero_std"]
        self.mean = share if self.mean is None else 0.8 * self.mean + 0.2 * share
        return {"bad": self.least / max(self.mean, 1e-3), "share": self.mean} if self.mean < self.least else {}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        share = self.evidence["share"]
        sentence = f"Only {share:.0%} of the groups hold responses whose rewards differ; the others teach nothing"
        return sentence, "serious" if share < 0.1 else "warning"

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        return {**super().memory(), "mean": self.mean}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        super().remember(state)
        self.mean = state["mean"]
