"""What goes wrong with a filter: hardly anything passes it."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.detectors.quantities import Lasting


class FilterTooTight(Lasting):
    """Drawing ends at its cap, before the batch is full, five steps in a row."""

    id = "filter_too_tight"
    title = "Filter too tight"
    quantities = ("filled",)
    also = {"filled": ("filled",)}  # noqa: RUF012 (declared a ClassVar by the base)
    told = quantities
    remedy = "Widen the band, allow more draws, or draw harder prompts if the policy has outgrown these."
    lasting = 5
    patience = 5

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        filled = seen["filled"]
        return {"bad": 2 - filled, "filled": filled} if filled < 1 else {}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        filled = self.evidence["filled"]
        sentence = f"Drawing ends at its cap with the batch {filled:.0%} full: too few prompts lie inside the band"
        return sentence, "serious" if filled < 0.25 else "warning"
