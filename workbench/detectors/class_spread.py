"""Rare classes that are left behind: the gap between classes with many and with few training examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting


class Spread(Lasting):
    """Base: the running mean of (a head's metric - a tail's), over evaluations, is above `opens`, three in a row.

    It is over only below `closes`, so that a gap at the border is told once. A subclass names the two signals.
    """

    KEPT = ("mean",)
    head: ClassVar[str] = ""
    tail: ClassVar[str] = ""
    lasting: ClassVar[int] = 3
    patience: ClassVar[int] = 1
    decay: ClassVar[float] = 0.5
    opens: ClassVar[float] = 25.0
    closes: ClassVar[float] = 15.0

    def __init__(self) -> None:
        super().__init__()
        self.mean: float | None = None

    def __init_subclass__(cls) -> None:
        if cls.head:
            cls.needs = cls.sees = (cls.head, cls.tail)

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        gap = self.known[self.head] - self.known[self.tail]
        self.mean = gap if self.mean is None else self.decay * self.mean + (1 - self.decay) * gap
        border = self.closes if self.streak.episode.open else self.opens
        if self.mean <= border:
            return None
        return {"bad": self.mean / self.opens, "gap": self.mean, **{n: self.known[n] for n in self.sees}}


class ClassSpread(Spread):
    """Of accuracy, in percentage points."""

    id = "class_spread"
    title = "Rare classes left behind"
    head = "acc_many"
    tail = "acc_few"
    remedy = (
        "Adjust the logits by the classes' shares (balanced softmax), or weight or resample the classes; compare "
        "balanced accuracy, not accuracy."
    )

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Classes with few examples are right in {evidence[self.tail]:.0f} % of the cases, those with many in "
            f"{evidence[self.head]:.0f} %"
        )
