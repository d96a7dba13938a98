"""What goes wrong with normalisation statistics when tasks come one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors import Detector
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span
from workbench.methods.continual._shared.detect import Forgetting, StabilityGap

__all__ = ["BnRecencyBias", "Forgetting", "StabilityGap"]


class BnRecencyBias(Detector):
    """The window of the running statistics follows the newest task t >= 1, judged from its 50th step on.

    For 5 probes in a row the newest task's weight `bn_mass[t]` is more than a third of the way from the even share
    1/(t+1) to 1, and the old tasks are more than 1.5 times as far from the statistics as the newest is, compared with
    statistics to which all contribute evenly (`bn_recency_ratio`).

    Calibrated on tours of three seeds (Split Fashion-MNIST, ER-ACE): from the third task on batch norm stands at .35 to
    .5 of that way, AdaB2N at kappa 0.4 at .30 to .38, so that it is told of too now and then, at kappa 0.1 below .31.
    A fixed multiple of the even share (1.5, say) is never reached with two tasks and by every layer with five. And the
    plain ratio of distances says less about the window than about which classes resemble each other: it lies between
    0.6 and 2.4 by the order of classes, with and without the remedy.
    """

    id = "bn_recency_bias"
    title = "Recency bias of normalisation statistics"
    needs = ("bn_mass", "bn_recency_ratio", "task")
    remedy = "AdaB2N (norm = adab2n) with a small kappa, such as 0.1; a joint forward alone hardly changes the window."
    FROM: ClassVar[int] = 50  # steps of the task
    LASTING: ClassVar[int] = 5  # probes
    EXCESS: ClassVar[float] = 1 / 3
    RATIO: ClassVar[float] = 1.5

    def __init__(self) -> None:
        super().__init__()
        self.episode = Episode(self.LASTING)
        self.task = self.began = -1
        self.mass: list[float] = []
        self.streak, self.streak_first = 0, -1
        self.seen: dict[str, float] = {}

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        if "task" in values and int(values["task"]) != self.task:
            self.task, self.began = int(values["task"]), step
        if "bn_mass" in values:
            self.mass = np.asarray(values["bn_mass"], dtype=np.float64).tolist()
        t = self.task
        if "bn_recency_ratio" not in values or t < 1 or step - self.began < self.FROM or len(self.mass) <= t:
            return
        ratio = float(values["bn_recency_ratio"])
        even = 1 / (t + 1)
        excess = (self.mass[t] - even) / (1 - even)
        bad = excess > self.EXCESS and ratio > self.RATIO
        self.streak = self.streak + 1 if bad else 0
        if self.streak == 1:
            self.streak_first = step
        if bad:
            self.seen = {"task": t, "mass": self.mass[t], "even": even, "ratio": ratio}
        holds = self.streak >= self.LASTING
        if not holds and not self.episode.open:
            return
        for moment in self.episode.feed(np.array([step]), np.array([holds]), np.array([ratio])):
            if moment == "open":
                self.episode.first = self.streak_first
            yield self._finding(closed=moment == "close")

    def finish(self, step: int) -> Iterable[Finding]:
        """Close the episode at its last bad probe."""
        for _ in self.episode.end():
            yield self._finding(closed=True)

    def _finding(self, *, closed: bool) -> Finding:
        seen = self.seen
        sentence = (
            f"Normalisation statistics follow the newest task: task {seen['task']:.0f} weighs {seen['mass']:.0%} in "
            f"them (an even share is {seen['even']:.0%}), and old tasks are {seen['ratio']:.1f} times as far from "
            f"them as if all contributed evenly, {span(self.episode, closed)}."
        )
        return Finding(
            id=self.id, title=self.title, first=self.episode.first, last=self.episode.last if closed else None,
            sentence=sentence, remedy=self.remedy, severity="warning", evidence=dict(seen),
            signals=("bn_mass", "bn_recency_ratio"),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        kept = {n: getattr(self, n) for n in ("task", "began", "mass", "streak", "streak_first", "seen")}
        return {**kept, "episode": self.episode.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in ("task", "began", "mass", "streak", "streak_first", "seen"):
            setattr(self, name, state[name])
        self.episode.load_state_dict(state["episode"])
