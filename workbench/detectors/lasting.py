"""Conditions that must last before they are told: the streak that counts, and a base that reads signals as they are.

`workbench.detectors.quantities.Lasting` is the twin for quantities that other programs record under other names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.base import Detector
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span


class Streak:
    """For how many values in a row a condition has held, and the episode that `lasting` of them open.

    The episode is dated from the first of them. Once it is open every value with the condition belongs to it, and it is
    over after `patience` values without.

    Attributes:
        evidence: numbers of the last value at which the condition held.
    """

    def __init__(self, lasting: int, patience: int) -> None:
        self.lasting = lasting
        self.episode = Episode(patience)
        self.length = 0
        self.began = -1
        self.evidence: dict[str, float] = {}

    def feed(self, step: int, numbers: Mapping[str, float]) -> Iterator[str]:
        """Take a value's numbers (``bad``: how bad, above 0; none: the condition does not hold); yield as `Episode`."""
        self.length = self.length + 1 if numbers else 0
        if self.length == 1:
            self.began = step
        if numbers:
            self.evidence = dict(numbers)
        going = self.episode.open
        holds = self.length >= self.lasting or (going and bool(numbers))
        if holds or going:
            bad = numbers.get("bad", float(holds))
            for moment in self.episode.feed(np.array([step]), np.array([holds]), np.array([bad])):
                if moment == "open":
                    self.episode.first = self.began
                yield moment

    def finding(
        self, moment: str, detector: Detector, sentence: str, severity: str, signals: tuple[str, ...]
    ) -> Finding:
        """What is said at that moment; the range of steps is added to the sentence."""
        closed = moment == "close"
        return Finding(
            id=detector.id, title=detector.title, first=self.episode.first,
            last=self.episode.last if closed else None, sentence=f"{sentence}, {span(self.episode, closed)}.",
            remedy=detector.remedy, severity=severity, signals=signals,
            evidence={name: number for name, number in self.evidence.items() if name != "bad"},
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        kept = {"length": self.length, "began": self.began, "evidence": dict(self.evidence)}
        return {**kept, "episode": self.episode.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.length, self.began, self.evidence = state["length"], state["began"], dict(state["evidence"])
        self.episode.load_state_dict(state["episode"])


class Lasting(Detector):
    """Base: a condition on signals of any shape. A subclass says in `holds` whether it holds, and in `told` what it is.

    `known` holds the latest value of each of `needs` that has come.

    Attributes:
        sees: signals whose coming makes a step count, and which carry the finding; the others are looked up.
        lasting, patience: in steps that count.
        severity: of the findings.
        KEPT: names of a subclass's own attributes that are part of its state, plain data.
    """

    KEPT: ClassVar[tuple[str, ...]] = ()
    sees: tuple[str, ...] = ()
    lasting: ClassVar[int] = 50
    patience: ClassVar[int] = 10
    severity: ClassVar[str] = "warning"

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Any] = {}
        self.streak = Streak(self.lasting, self.patience)

    def holds(self) -> dict[str, float] | None:
        """The evidence if the condition holds with the values of `known`, else None. All of `sees` are there."""
        raise NotImplementedError

    def told(self, evidence: Mapping[str, float]) -> str:
        """One sentence without its dates and without a full stop."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """See `Detector.update`."""
        values = {name: v for name, value in values.items() if self.wants(name) and (v := _plain(value)) is not None}
        self.known.update(values)
        if any(name in values for name in self.sees) and all(name in self.known for name in self.sees):
            yield from self._say(self.streak.feed(step, self.holds() or {}))

    def finish(self, step: int) -> Iterable[Finding]:
        """See `Detector.finish`: it ends where it was seen last."""
        yield from self._say(self.streak.episode.end())

    def _say(self, moments: Iterable[str]) -> Iterator[Finding]:
        for moment in moments:
            yield self.streak.finding(moment, self, self.told(self.streak.evidence), self.severity, self.sees)

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        own = {name: getattr(self, name) for name in self.KEPT}
        return {"known": dict(self.known), "streak": self.streak.state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.known = dict(state["known"])
        self.streak.load_state_dict(state["streak"])
        for name in self.KEPT:
            setattr(self, name, state[name])


def _plain(value: Any) -> Any:
    """A value as JSON knows it: numbers, text, lists. None for a number that is none: it says nothing."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
