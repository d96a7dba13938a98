"""A reward that drops below its start and climbs back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.quantities import Level, Quantities

_KEPT = ("low", "high", "dips", "origin", "first", "least", "least_step", "now", "told", "due")


class HockeyStick(Quantities):
    """The mean reward of 5 values drops by more than 0.1 below the start r0; turns; recovers half of its dip.

    A drop opens the finding, the turn is the running minimum, and a mean above minimum + half the dip closes it; until
    then it is a collapse so far. r0 is the reward of an evaluation where one was recorded by the first step (and lies
    within twice the drop of the first value), else the mean of the first two values.

    Scale: 0.1 is meant for rewards in [0, 1]. Once a value has lain outside it is a tenth of what the values have
    spanned so far, 0 included. In any scale the drop must also exceed 4 standard errors of the difference of the means
    compared, so that small noisy batches raise nothing. After a recovery the next drop counts from the best mean since,
    and must be twice as deep (three times, and so on), so that a reward that swings does not tell for ever.
    """

    id = "hockey_stick"
    title = "Reward hockey stick"
    quantities = ("reward", "eval_reward")
    remedy = (
        "A lower learning rate, or a start that moves less at each step (a balanced merge of the models); more KL "
        "penalty. Long responses move furthest from the reference in one step."
    )
    drop: ClassVar[float] = 0.1
    back: ClassVar[float] = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.level = Level()
        self.low = self.high = 0.0  # of all values, and 0
        self.dips = 0  # that have recovered
        self.origin: float | None = None  # what the next drop counts from: r0, later the best mean since a recovery
        self.first: int | None = None  # of what is open
        self.least = self.now = self.told = 0.0
        self.least_step = self.due = -1

    def scale(self) -> float:
        """1 for rewards in [0, 1], else what the values have spanned, 0 included."""
        return 1.0 if self.low >= 0 and self.high <= 1 else self.high - self.low

    def depth(self) -> float:
        """How far below its origin the mean must lie."""
        of_start = 0.0 if self.dips or self.level.start == self.level.evaluation else 1 / 2  # a mean of two values
        error = self.level.noise * math.sqrt(1 / Level.WINDOW + of_start)
        return max(self.drop * self.scale(), 4 * error) * (1 + self.dips)

    def look(self, step: int, seen: Mapping[str, float]) -> Iterator[Finding]:
        """As `Quantities.look`."""
        self.level.evaluate(seen.get("eval_reward"))
        if "reward" not in seen:
            return
        value = seen["reward"]
        self.low, self.high = min(self.low, value), max(self.high, value)
        mean = self.level.take(value, within=2 * self.drop * self.scale())
        if mean is None or self.level.start is None:
            return
        self.now = mean
        if self.origin is None:
            self.origin = self.level.start
        if self.first is None:
            yield from self._fall(step, mean, self.origin)
        else:
            yield from self._follow(step, mean, self.origin)

    def _fall(self, step: int, mean: float, origin: float) -> Iterator[Finding]:
        if self.dips:
            self.origin = max(origin, mean)
        if origin - mean > self.depth():
            self.first, self.least, self.least_step = step, mean, step
            self.told, self.due = origin - mean, step + 16
            yield self._finding(None, recovered=False)

    def _follow(self, step: int, mean: float, origin: float) -> Iterator[Finding]:
        if mean < self.least:
            self.least, self.least_step = mean, step
        dip = origin - self.least
        if mean > self.least + self.back * dip:
            yield self._finding(step, recovered=True)
            self.first, self.origin = None, mean
            self.dips += 1
        elif dip >= 1.5 * self.told or step >= self.due:
            self.told, self.due = dip, step + 2 * (step - (self.first or 0))
            yield self._finding(None, recovered=False)

    def finish(self, step: int) -> Iterator[Finding]:
        """As `Detector.finish`: without a recovery it was a collapse."""
        if self.first is not None:
            yield self._finding(step, recovered=False)
            self.first = None

    def _finding(self, last: int | None, *, recovered: bool) -> Finding:
        origin, first = self.origin or 0.0, self.first or 0
        dip = origin - self.least
        fell = f"{origin:.3g} to {self.least:.3g} at step {self.least_step} (mean of 5 values)"
        if recovered:
            sentence = f"The reward fell from {fell} and was back at {self.now:.3g} at step {last}."
        elif last is None:
            sentence = f"The reward has fallen from {fell}, {self.now:.3g} now: a collapse so far."
        else:
            sentence = f"The reward fell from {fell} and did not come back, {self.now:.3g} at the end: a collapse."
        phase = "recovered" if recovered else "drop" if self.now <= self.least else "turn"
        return Finding(
            id=self.id,
            title=self.title,
            first=first,
            last=last,
            sentence=sentence,
            remedy=self.remedy,
            severity="serious" if not recovered and (last is not None or dip > 2 * self.depth()) else "warning",
            evidence={
                "start": origin, "min": self.least, "min_step": self.least_step, "now": self.now, "dip": dip,
                "phase": phase,
            },
            signals=self.signals("reward"),
        )  # fmt: skip

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        return {"level": self.level.state_dict(), **{name: getattr(self, name) for name in _KEPT}}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        self.level.load_state_dict(state["level"])
        for name in _KEPT:
            setattr(self, name, state[name])
