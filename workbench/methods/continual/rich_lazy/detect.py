"""Which regime a run learns in. Information, not warnings; a warning only where more rules than one are to be learned.

The published reading asks for a kernel alignment below 0.5 and a weight change above 0.3 of the norm. Here weights move
by a twentieth of their norm in every regime (measured on the decision task, rank 1 and full rank), so that the bound on
the change only tells that they moved at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors import Detector
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span


class Regime(Detector):
    """Base: judged whenever a kernel was looked at, once the loss has fallen by half."""

    needs = ("ntk_alignment", "delta_w_relative", "smoothed_loss", "tasks")
    PATIENCE: ClassVar[int] = 1  # looks

    def __init__(self) -> None:
        super().__init__()
        self.episode = Episode(self.PATIENCE)
        self.known: dict[str, float] = {}
        self.first_loss = 0.0

    def holds(self, alignment: float, moved: float) -> bool:
        """Whether the regime is there."""
        raise NotImplementedError

    def sentence(self, alignment: float, moved: float) -> str:
        """In words."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.known.update({n: float(values[n]) for n in self.needs if n in values})
        if not self.first_loss:
            self.first_loss = self.known.get("smoothed_loss", 0.0)
        if "ntk_alignment" not in values or not self.known.keys() >= set(self.needs):
            return
        alignment, moved = self.known["ntk_alignment"], self.known["delta_w_relative"]
        bad = self.known["smoothed_loss"] < self.first_loss / 2 and self.holds(alignment, moved)
        for moment in self.episode.feed(np.array([step]), np.array([bad]), np.array([1.0])):
            yield self._finding(closed=moment == "close")

    def finish(self, step: int) -> Iterable[Finding]:
        """Close the episode at its last look."""
        for _ in self.episode.end():
            yield self._finding(closed=True)

    def severity(self) -> str:
        """How bad it is."""
        return "info"

    def _finding(self, *, closed: bool) -> Finding:
        alignment, moved, loss = (self.known[n] for n in self.needs[:3])
        return Finding(
            id=self.id, title=self.title, first=self.episode.first, last=self.episode.last if closed else None,
            sentence=f"{self.sentence(alignment, moved)} (at a loss of {loss:.3g}), {span(self.episode, closed)}.",
            remedy=self.remedy, severity=self.severity(),
            evidence={"ntk_alignment": alignment, "delta_w_relative": moved, "smoothed_loss": loss},
            signals=("ntk_alignment", "delta_w_relative"),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"known": dict(self.known), "first_loss": self.first_loss, "episode": self.episode.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.known, self.first_loss = dict(state["known"]), float(state["first_loss"])
        self.episode.load_state_dict(state["episode"])


class RichRegime(Regime):
    """Kernel alignment below 0.5 while the weights have moved."""

    id = "rich_regime"
    title = "Rich regime"
    remedy = "Nothing is wrong by itself. Lazier: a higher initial rank, a larger sigma, a smaller learning rate."
    ALIGNMENT: ClassVar[float] = 0.5
    MOVED: ClassVar[float] = 0.02

    def holds(self, alignment: float, moved: float) -> bool:
        """See `Regime.holds`."""
        return alignment < self.ALIGNMENT and moved > self.MOVED

    def severity(self) -> str:
        """A warning where another rule is to come: what is rebuilt may be forgotten."""
        return "warning" if self.known["tasks"] > 1 else "info"

    def sentence(self, alignment: float, moved: float) -> str:
        """See `Regime.sentence`."""
        risk = "; what is rebuilt is at risk when the rule changes" if self.known["tasks"] > 1 else ""
        return f"Features are being rebuilt: the tangent kernel has a cosine of {alignment:.2f} to that of step 0{risk}"


class LazyRegime(Regime):
    """Kernel alignment above 0.9 although the loss has fallen by half."""

    id = "lazy_regime"
    title = "Lazy regime"
    remedy = "Expect little transfer. Richer: a lower initial rank, a smaller sigma."
    ALIGNMENT: ClassVar[float] = 0.9

    def holds(self, alignment: float, moved: float) -> bool:
        """See `Regime.holds`."""
        return alignment > self.ALIGNMENT

    def sentence(self, alignment: float, moved: float) -> str:
        """See `Regime.sentence`."""
        return f"The network learns as its linearisation: its tangent kernel keeps a cosine of {alignment:.2f}"
