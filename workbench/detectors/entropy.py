"""A policy that is certain of every token: from the start, or more and more.

Both read the entropy of the next token in nats, mean over the responses' tokens, and only in runs that record a reward
too: elsewhere a quantity called entropy may be anything, and a classifier's is meant to fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.quantities import Lasting, Quantities

FROZEN = 0.05  # nats a token: below it a policy samples nearly the same response each time


class FalseCalm(Quantities):
    """The policy began with less than 0.05 nats a token (mean of the first two values): there is nothing to move.

    Every method looks stable from there, so the run shows nothing about stability.
    """

    id = "false_calm"
    title = "False calm"
    quantities = ("entropy", "reward")
    remedy = (
        "Do not call this run stable. Begin with a policy that still varies: fewer epochs of fine-tuning, data with "
        "several answers, a higher temperature."
    )

    def __init__(self) -> None:
        super().__init__()
        self.first: list[tuple[int, float]] = []
        self.told = False

    def look(self, step: int, seen: Mapping[str, float]) -> Iterator[Finding]:
        """As `Quantities.look`."""
        if "entropy" in seen and len(self.first) < 2:
            self.first.append((step, seen["entropy"]))
        if self.told or len(self.first) < 2 or "reward" not in self.read:
            return
        self.told = True
        (first, one), (last, two) = self.first
        entropy = (one + two) / 2
        if entropy < FROZEN:
            yield Finding(
                id=self.id,
                title=self.title,
                first=first,
                last=last,
                sentence=f"The policy began with an entropy of {entropy:.3g} nats a token, below {FROZEN}: it samples "
                "nearly the same response each time, so this run cannot show whether its training is stable.",
                remedy=self.remedy,
                evidence={"entropy": entropy, "limit": FROZEN},
                signals=self.signals("entropy"),
            )

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        return {"first": [list(pair) for pair in self.first], "told": self.told}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        self.first, self.told = [(step, value) for step, value in state["first"]], state["told"]


class EntropyCollapse(Lasting):
    """The entropy's running mean (0.8 old + 0.2 new) is below a quarter of its first ten values' and below 0.1 nats.

    Three values in a row. The level keeps quiet about a policy that was very uncertain and becomes ordinary; one that
    began below 0.05 nats a token is `FalseCalm`'s to tell.
    """

    id = "entropy_collapse"
    title = "Entropy collapse"
    quantities = ("entropy", "reward")
    told = ("entropy",)
    lasting = 3
    remedy = (
        "Keep the gradient of clipped tokens (a stop-gradient clip) or raise the upper clip, add an entropy bonus or "
        "KL to the reference, lower the learning rate."
    )
    share: ClassVar[float] = 0.25
    limit: ClassVar[float] = 0.1
    head: ClassVar[int] = 10

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.start = self.mean = 0.0

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        if "entropy" not in seen:
            return None
        value = seen["entropy"]
        self.mean = value if not self.count else 0.8 * self.mean + 0.2 * value
        self.count += 1
        if self.count <= self.head:
            self.start += (value - self.start) / self.count
        if self.count < self.head or self.start < FROZEN or "reward" not in self.read:
            return None
        if self.mean >= min(self.share * self.start, self.limit):
            return {}
        ratio = self.mean / self.start
        return {"bad": 1 / max(ratio, 1e-6), "start": self.start, "entropy": self.mean, "ratio": ratio}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        seen = self.evidence
        sentence = (
            f"The entropy fell to {seen['entropy']:.2g} nats a token, {seen['ratio']:.0%} of its first "
            f"{self.head} values' {seen['start']:.2g}"
        )
        return sentence, "serious" if seen["ratio"] < 0.1 else "warning"

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        return {**super().memory(), "count": self.count, "start": self.start, "mean": self.mean}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        super().remember(state)
        self.count, self.start, self.mean = state["count"], state["start"], state["mean"]
