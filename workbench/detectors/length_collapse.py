"""Responses that become much shorter soon after reinforcement learning began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.quantities import Level, Quantities


class LengthCollapse(Quantities):
    """The mean length of 5 values falls below 0.6 of the start (0.75: a warning) within the first 60 values.

    The start is an evaluation's length where one was recorded by then (and lies within a quarter of the first value),
    else the mean of the first two. It is over when the length is back above 0.75. Healthy runs stay above 0.8. Where
    more than 30 % of the first responses were cut off, a part of the fall is learning to stop: a warning at most.
    """

    id = "length_collapse"
    title = "Length collapse"
    quantities = ("length_reasoning", "eval_length", "truncated")
    remedy = (
        "Start from a balanced merge of the models, or warm the critic up before the policy moves; with a critic, a "
        "lambda nearer 1 lets early tokens feel the reward."
    )
    soon: ClassVar[int] = 60
    low: ClassVar[float] = 0.6
    lowered: ClassVar[float] = 0.75
    cut: ClassVar[float] = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.level = Level()
        self.cut_at_first: float | None = None
        self.first: int | None = None  # of what is open
        self.last = -1
        self.least = 0.0
        self.least_step = -1
        self.collapsed = False

    def look(self, step: int, seen: Mapping[str, float]) -> Iterator[Finding]:
        """As `Quantities.look`."""
        level = self.level
        level.evaluate(seen.get("eval_length"))
        if self.cut_at_first is None:
            self.cut_at_first = seen.get("truncated")
        if "length_reasoning" not in seen:
            return
        now = level.take(seen["length_reasoning"], within=abs(seen["length_reasoning"]) / 4)
        if now is None or level.start is None or level.start <= 0:
            return
        short = now < self.lowered * level.start
        soon = level.count <= self.soon
        if self.first is None:
            if not (short and soon):
                return
            self.first, self.least, self.collapsed = step, now, False
            news = True
        elif not short:
            yield self._finding(self.last)
            self.first = None
            return
        else:
            news = False
        self.last = step
        if news or now < self.least:
            self.least, self.least_step = now, step
        if soon and not self.collapsed and now < self.low * level.start:
            self.collapsed = news = True
        if news:
            yield self._finding(None)

    def finish(self, step: int) -> Iterator[Finding]:
        """As `Detector.finish`."""
        if self.first is not None:
            yield self._finding(self.last)
            self.first = None

    def _finding(self, last: int | None) -> Finding:
        start, first = self.level.start or 1.0, self.first or 0
        stopping = (self.cut_at_first or 0.0) > self.cut
        sentence = (
            f"Responses became shorter: {self.least:.3g} tokens at step {self.least_step} (mean of 5 values), "
            f"{self.least / start:.0%} of the {start:.3g} at the start"
        )
        sentence += f", since step {first}." if last is None else f"; from step {first} to {last}."
        if stopping:
            sentence += f" {self.cut_at_first:.0%} of the first ones were cut off, so learning to stop is a part of it."
        return Finding(
            id=self.id,
            title=self.title,
            first=first,
            last=last,
            sentence=sentence,
            remedy=self.remedy,
            severity="serious" if self.collapsed and not stopping else "warning",
            evidence={
                "start": start, "least": self.least, "least_step": self.least_step, "ratio": self.least / start,
                "collapsed": self.collapsed,
            },
            signals=self.signals("length_reasoning"),
        )  # fmt: skip

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        kept = ("cut_at_first", "first", "last", "least", "least_step", "collapsed")
        return {"level": self.level.state_dict(), **{name: getattr(self, name) for name in kept}}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        self.level.load_state_dict(state["level"])
        for name in ("cut_at_first", "first", "last", "least", "least_step", "collapsed"):
            setattr(self, name, state[name])
