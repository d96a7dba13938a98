"""Spikes of the loss, narrow or wide, and what they leave behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.base import Detector
from workbench.detectors.lasting import Lasting

NARROW = 3  # steps at most


class _Spike(Detector):
    """Base: follows losses that stand out in a row; a subclass says when it speaks.

    `known` are the latest values; of a spike `first`, `width`, highest `score`, the step `batch` was drawn for at the
    start, and how many of its batches were skipped.
    """

    needs = ("guard_z", "guard_skipped", "spike_limit", "drawn_for", "grad_norm")
    severity: ClassVar[str] = "info"
    _KEPT: ClassVar[tuple[str, ...]] = ("first", "width", "score", "batch", "skipped", "grad_norm", "known")

    def __init__(self) -> None:
        super().__init__()
        self.first = self.batch = -1
        self.width = self.skipped = 0
        self.score = self.grad_norm = 0.0
        self.known: dict[str, float] = {}

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.known.update({name: float(value) for name, value in values.items() if self.wants(name)})
        if "guard_z" not in values:
            return
        if self.known["guard_z"] > self.known.get("spike_limit", float("inf")):
            if not self.width:
                self.first, self.batch = step, int(self.known.get("drawn_for", step))
                self.score, self.skipped = 0.0, 0
                self.grad_norm = self.known.get("grad_norm", 0.0)
            self.width += 1
            self.score = max(self.score, self.known["guard_z"])
            self.skipped += int(self.known.get("guard_skipped", 0))
            if self.speaks(over=False):
                yield self.told(None)
        elif self.width:
            if self.speaks(over=True):
                yield self.told(step - 1)
            self.width = 0

    def finish(self, step: int) -> Iterable[Finding]:
        """Close what is open: the run ended at this step."""
        if self.width and self.speaks(over=True):
            yield self.told(step)

    def speaks(self, *, over: bool) -> bool:
        """Whether there is something to say, while it goes on or when it is `over`."""
        raise NotImplementedError

    def told(self, last: int | None) -> Finding:
        """What is said; `last` None: it goes on."""
        done = f"{self.skipped} of its updates were skipped" if self.skipped else "every update was made"
        when = f"at step {self.first}" if self.width == 1 else f"for {self.width} steps from step {self.first} on"
        evidence = {
            "width": self.width, "score": self.score, "batch": self.batch, "skipped": self.skipped,
            "grad_norm_before": self.grad_norm,
        }  # fmt: skip
        return Finding(
            id=self.id, title=self.title, first=self.first, last=last, remedy=self.remedy, severity=self.severity,
            sentence=f"The loss stood up to {self.score:.1f} robust deviations above its median {when} (the batch "
            f"drawn for step {self.batch}); {done}.",
            evidence=evidence, signals=("ce", "guard_z"),
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {name: getattr(self, name) for name in self._KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in self._KEPT:
            setattr(self, name, state[name])


class NarrowSpike(_Spike):
    """The loss stands out for at most 3 steps."""

    id = "narrow_spike"
    title = "Narrow spike"
    remedy = "Nothing, if it heals; look at the batch. guard.handler skip_retry keeps its update out."

    def speaks(self, *, over: bool) -> bool:
        """When it is over and was narrow."""
        return over and self.width <= NARROW


class WideSpike(_Spike):
    """The loss stands out for more than 3 steps."""

    id = "wide_spike"
    title = "Wide spike"
    remedy = "Set guard.handler to skip_retry_lr, and guard.rollback if the updates before the spike were the cause."
    severity = "serious"

    def speaks(self, *, over: bool) -> bool:
        """From the fourth step on."""
        return self.width == NARROW + 1 or (over and self.width > NARROW)


class Diverged(Lasting):
    """The loss on text lies more than 0.5 nats above what it was 200 steps ago, for 50 steps."""

    id = "diverged"
    title = "The loss climbs"
    needs = ("text_ce",)
    sees = ("text_ce",)
    remedy = "Go back to before the rise (fork there), lower the learning rate, switch the guard on."
    severity = "serious"
    AGO: ClassVar[int] = 200
    RISE: ClassVar[float] = 0.5
    KEPT = ("past",)

    def __init__(self) -> None:
        super().__init__()
        self.past: list[float] = []

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        now = float(self.known["text_ce"])
        self.past = [*self.past[-self.AGO :], now]
        before = self.past[0]
        return {"now": now, "before": before} if len(self.past) > self.AGO and now > before + self.RISE else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"The loss is at {evidence['now']:.2f} nats a byte, {evidence['before']:.2f} it was 200 steps before"


class BalanceAfterSpike(Detector):
    """Within 20 steps of a spike, and out of it, the worst layer's imbalance lies 0.5 above the 10 steps before.

    Above the largest of them: against their median one in ten steps without any spike would count.
    """

    id = "balance_after_spike"
    title = "Imbalance after a spike"
    needs = ("guard_z", "spike_limit", "worst_violation")
    remedy = "Keep the spike's updates out (guard.handler), and balance more (alpha)."
    WITHIN: ClassVar[int] = 20
    RISE: ClassVar[float] = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[float] = deque(maxlen=10)
        self.spike, self.level, self.said, self.limit = -1, 0.0, True, float("inf")

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        self.limit = float(values.get("spike_limit", self.limit))
        if "worst_violation" not in values or "guard_z" not in values:
            return
        worst, spike = float(values["worst_violation"]), float(values["guard_z"]) > self.limit
        new = self.spike < 0 or step > self.spike + self.WITHIN
        if spike and new and self.recent:
            self.spike, self.said, self.level = step, False, max(self.recent)
        after = self.spike >= 0 and self.spike < step <= self.spike + self.WITHIN
        if after and not spike and not self.said and worst > self.level + self.RISE:
            self.said = True
            yield Finding(
                id=self.id, title=self.title, first=self.spike, last=step, remedy=self.remedy,
                sentence=f"The busiest expert went from {1 + self.level:.1f} to {1 + worst:.1f} times an even share "
                f"within {step - self.spike} steps of the spike at step {self.spike}.",
                evidence={"before": self.level, "after": worst, "spike": self.spike}, signals=("worst_violation",),
            )  # fmt: skip
        if not spike and not after:
            self.recent.append(worst)

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        limit = None if self.limit == float("inf") else self.limit
        return {"recent": list(self.recent), "at": [self.spike, self.level, self.said, limit]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.recent = deque(state["recent"], maxlen=10)
        self.spike, self.level, self.said, limit = state["at"]
        self.limit = float("inf") if limit is None else limit
