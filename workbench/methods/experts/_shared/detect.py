"""What goes wrong between a router and its experts, whatever method is in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.base import Detector
from workbench.detectors.lasting import Lasting

__all__ = ["Collapse", "Jump"]


class Collapse(Lasting):
    """A layer's busiest expert gets more than 2.2 times an even share in half the layers or more, for 50 steps.

    Or experts are dead (under 5 % of an even share over 50 steps) for that long.
    """

    id = "collapse"
    title = "Experts collapse"
    needs = ("max_violation", "dead")
    sees = ("max_violation", "dead")
    remedy = "Balance more: raise alpha, or balance by a selection bias."
    severity = "serious"
    HIGH: ClassVar[float] = 1.2

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        violations, dead = self.known["max_violation"], self.known["dead"]
        layers = sum(v > self.HIGH for v in violations)
        if 2 * layers < len(violations) and not any(dead):
            return None
        return {"layers": layers, "of": len(violations), "dead": sum(dead), "worst": max(violations)}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        dead = f"{evidence['dead']:.0f} experts are dead, and the" if evidence["dead"] else "The"
        return f"{dead} busiest expert gets {1 + evidence['worst']:.1f} times an even share"


class Jump(Detector):
    """Base: a signal that is measured at a hand-over is above `HIGH`; a finding of that step alone.

    `known` holds the latest value of each of `needs`; the first of them is the signal. `curve` names the one in which a
    reader sees it.
    """

    HIGH: ClassVar[float]
    curve: ClassVar[str]
    severity: ClassVar[str] = "serious"

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Any] = {}

    def told(self, value: float) -> str:
        """One sentence without its step and without a full stop."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        signal = self.needs[0]
        self.known.update({name: _plain(value) for name, value in values.items() if self.wants(name)})
        if signal in values and (value := float(self.known[signal])) > self.HIGH:
            yield Finding(
                id=self.id, title=self.title, first=step, last=step, remedy=self.remedy, severity=self.severity,
                sentence=f"{self.told(value)}, at step {step}.", evidence={signal: value}, signals=(self.curve, signal),
            )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"known": dict(self.known)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.known = dict(state["known"])


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
