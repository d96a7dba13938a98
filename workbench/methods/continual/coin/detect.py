"""What goes wrong when the weights of instruction tuning are averaged: nothing dynamic about it, or nothing learned."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors import Detector
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span
from workbench.methods.continual._shared.detect import Forgetting

__all__ = ["EmaNotDynamic", "Forgetting", "PlasticityLoss"]


class EmaNotDynamic(Detector):
    """Over 100 steps less than 5 % of the coefficients come from the formula."""

    id = "ema_not_dynamic"
    title = "Average not dynamic"
    needs = ("dynamic_share",)
    remedy = "Tensors are too small for sums of absolute values: a lower factor, or a higher rank."
    WINDOW: ClassVar[int] = 100
    SHARE: ClassVar[float] = 0.05

    def __init__(self) -> None:
        super().__init__()
        self.episode = Episode(self.WINDOW)
        self.shares: deque[float] = deque(maxlen=self.WINDOW)
        self.steps: deque[int] = deque(maxlen=self.WINDOW)

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        if "dynamic_share" not in values:
            return
        self.shares.append(float(values["dynamic_share"]))
        self.steps.append(step)
        mean = float(np.mean(self.shares))
        bad = len(self.shares) == self.WINDOW and mean < self.SHARE
        for moment in self.episode.feed(np.array([step]), np.array([bad]), np.array([1.0])):
            if moment == "open":
                self.episode.first = self.steps[0]
                self.episode.note["share"] = mean
            yield self._finding(closed=moment == "close")

    def finish(self, step: int) -> Iterable[Finding]:
        """Close the episode at its last bad step."""
        for _ in self.episode.end():
            yield self._finding(closed=True)

    def _finding(self, *, closed: bool) -> Finding:
        share = self.episode.note["share"]
        return Finding(
            id=self.id, title=self.title, first=self.episode.first, last=self.episode.last if closed else None,
            sentence=f"The coefficient of the average is the fallback: {share:.1%} of the tensors' coefficients came "
            f"from the formula in {self.WINDOW} steps, {span(self.episode, closed)}.",
            remedy=self.remedy, severity="warning", evidence={"dynamic_share": share}, signals=self.needs,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"shares": list(self.shares), "steps": list(self.steps), "episode": self.episode.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.shares = deque(state["shares"], maxlen=self.WINDOW)
        self.steps = deque(state["steps"], maxlen=self.WINDOW)
        self.episode.load_state_dict(state["episode"])


class PlasticityLoss(Detector):
    """At a task's end its accuracy falls by more than 10 points as the weights become their average."""

    id = "plasticity_loss"
    title = "Plasticity lost"
    needs = ("new_task_accuracy", "new_task_accuracy_trained", "task")
    remedy = "The window is longer than the task: a larger factor, a larger 1 - decay, or longer tasks."
    DROP: ClassVar[float] = 10.0

    def __init__(self) -> None:
        super().__init__()
        self.task = -1

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.task = int(values.get("task", self.task))
        if not {"new_task_accuracy", "new_task_accuracy_trained"} <= values.keys():
            return
        trained, kept = float(values["new_task_accuracy_trained"]), float(values["new_task_accuracy"])
        if trained - kept <= self.DROP:
            return
        yield Finding(
            id=self.id, title=self.title, first=step, last=step, remedy=self.remedy, subject=f"task {self.task}",
            severity="warning" if trained - kept < 30 else "serious",
            sentence=f"As its weights became their average, task {self.task} fell from {trained:.0f} % to {kept:.0f} % "
            f"at step {step}.",
            evidence={"task": self.task, "trained": trained, "kept": kept},
            signals=("new_task_accuracy", "new_task_accuracy_trained"),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"task": self.task}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.task = int(state["task"])
