"""What goes wrong between the stages: responses stay long, SFT ends too early, or length is won at accuracy's cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors import Detector

__all__ = ["RlEatsAccuracy", "SftUndertrained", "StaysLong"]

FLAT = 1.0  # percentage points an epoch: less is no rise


class StaysLong(Detector):
    """After 3 epochs of SFT or more accuracy is flat, and a right answer costs over twice the tokens of one pass.

    It is over when one costs less. It goes on through a second stage that does not shorten.
    """

    id = "stays_long"
    title = "Responses stay long"
    needs = ("accuracy_slope", "epoch", "tokens_per_correct", "one_pass")
    remedy = "A second stage of GRPO with the rewards for form, cosine and length: a fork with reinforce=true."
    TIMES: ClassVar[float] = 2.0
    KEPT: ClassVar[tuple[str, ...]] = ("epoch", "flat", "first", "last", "times", "cost")
    EPOCHS: ClassVar[int] = 3  # the first ones may lower accuracy

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0.0
        self.flat = False
        self.first: int | None = None  # of what is open
        self.last = -1
        self.times = self.cost = 0.0

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.epoch = float(values.get("epoch", self.epoch))
        if "accuracy_slope" in values:
            self.flat = float(values["accuracy_slope"]) <= FLAT and self.epoch >= self.EPOCHS
        if not {"tokens_per_correct", "one_pass"} <= values.keys():
            return
        cost = float(values["tokens_per_correct"])
        times = cost / float(values["one_pass"])
        if times > self.TIMES and (self.flat or self.first is not None):
            news = self.first is None
            self.first = step if self.first is None else self.first
            self.last, self.times, self.cost = step, times, cost
            if news:
                yield self._finding(None)
        elif self.first is not None:
            yield self._finding(self.last)
            self.first = None

    def finish(self, step: int) -> Iterable[Finding]:
        """Say how it stood at the end: that goes on."""
        if self.first is not None:
            yield self._finding(self.last)

    def _finding(self, last: int | None) -> Finding:
        first = self.first or 0
        return Finding(
            id=self.id, title=self.title, first=first, last=last, remedy=self.remedy, severity="warning",
            sentence=f"Accuracy no longer rises, and a right answer costs {self.cost:.0f} tokens, {self.times:.1f} "
            f"times what one pass takes, {f'since step {first}' if last is None else f'from step {first} to {last}'}.",
            evidence={"tokens_per_correct": self.cost, "times": self.times}, signals=("tokens_per_correct",),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {name: getattr(self, name) for name in self.KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in self.KEPT:
            setattr(self, name, state[name])


class SftUndertrained(Detector):
    """As SFT ends, in a second stage or with the run, accuracy still rises by more than a point an epoch."""

    id = "sft_undertrained"
    title = "SFT under-trained"
    needs = ("accuracy_slope", "stage")
    remedy = "More epochs of SFT: accuracy has not come to its end."

    def __init__(self) -> None:
        super().__init__()
        self.slope: float | None = None
        self.over = False

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        if "accuracy_slope" in values:
            self.slope = float(values["accuracy_slope"])
        if values.get("stage", 0) >= 1 and not self.over:
            self.over = True
            yield from self._told(step, "when the second stage began")

    def finish(self, step: int) -> Iterable[Finding]:
        """Where there was no second stage the run's end is SFT's."""
        if not self.over:
            yield from self._told(step, "when the run ended")

    def _told(self, step: int, when: str) -> Iterator[Finding]:
        if self.slope is None or self.slope <= FLAT:
            return
        yield Finding(
            id=self.id, title=self.title, first=step, last=step, remedy=self.remedy, severity="warning",
            sentence=f"Accuracy was still rising by {self.slope:.1f} points an epoch {when}, at step {step}.",
            evidence={"slope": self.slope}, signals=("accuracy_slope",),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"slope": self.slope, "over": self.over}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.slope, self.over = state["slope"], bool(state["over"])


class RlEatsAccuracy(Detector):
    """Accuracy, mean of two evaluations, lies 5 points or more below the end of SFT while responses are shorter."""

    id = "rl_eats_accuracy"
    title = "RL is eating accuracy"
    needs = ("accuracy_change", "length_left")
    remedy = "Less weight on length, more on accuracy, a lower learning rate, or more KL in the loss."
    DROP: ClassVar[float] = 0.05
    VALUES: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[tuple[float, float]] = deque(maxlen=self.VALUES)
        self.first: int | None = None  # of what is open
        self.last = -1
        self.worst = self.left = 0.0

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        if not set(self.needs) <= values.keys():
            return
        self.recent.append((float(values["accuracy_change"]), float(values["length_left"])))
        change, left = (sum(column) / len(self.recent) for column in zip(*self.recent, strict=True))
        if len(self.recent) == self.VALUES and change <= -self.DROP and left < 1:
            news = self.first is None or change <= 2 * self.worst
            self.first, self.last = step if self.first is None else self.first, step
            if change < self.worst:
                self.worst, self.left = change, left
            if news:
                yield self._finding(None)
        elif self.first is not None:
            yield from self._close()

    def finish(self, step: int) -> Iterable[Finding]:
        """Close what is open."""
        if self.first is not None:
            yield from self._close()

    def _close(self) -> Iterator[Finding]:
        yield self._finding(self.last)
        self.first, self.worst = None, 0.0

    def _finding(self, last: int | None) -> Finding:
        first = self.first or 0
        return Finding(
            id=self.id, title=self.title, first=first, last=last, remedy=self.remedy,
            severity="serious" if self.worst <= -2 * self.DROP else "warning",
            sentence=f"Accuracy fell {-100 * self.worst:.0f} points below the end of SFT while responses shortened to "
            f"{self.left:.0%}, {f'since step {first}' if last is None else f'from step {first} to {last}'}.",
            evidence={"change": self.worst, "length_left": self.left}, signals=("accuracy_change", "length_left"),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        kept = {n: getattr(self, n) for n in ("first", "last", "worst", "left")}
        return {"recent": [list(pair) for pair in self.recent], **kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.recent = deque(((a, b) for a, b in state["recent"]), maxlen=self.VALUES)
        for name in ("first", "last", "worst", "left"):
            setattr(self, name, state[name])
