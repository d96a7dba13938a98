"""A detector of a condition that must hold for a while: what the detectors of this experiment share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors import Detector
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span


class Condition(Detector):
    """Base: a condition of one step's values that must hold for `lasting` judged steps in a row.

    A subclass says in `judge` whether it holds (None: these values say nothing) and in `tell` what was seen.
    """

    lasting: ClassVar[int] = 50
    patience: ClassVar[int] = 50

    def __init__(self) -> None:
        super().__init__()
        self.episode = Episode(self.patience)
        self.streak = 0
        self.began = -1

    def judge(self, step: int, values: Mapping[str, Any]) -> float | None:
        """How bad it is: above 0 it holds, 0 not, None: not to be judged now."""
        raise NotImplementedError

    def tell(self) -> tuple[str, str, dict[str, Any]]:
        """Sentence (without its span), severity, evidence, at the moment of a finding."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Findings that are new or have changed with the values of this step."""
        weight = self.judge(step, values)
        if weight is None:
            return
        self.streak = self.streak + 1 if weight > 0 else 0
        if self.streak == 1:
            self.began = step
        holds = self.streak >= self.lasting
        if not holds and not self.episode.open:
            return
        for moment in self.episode.feed(np.array([step]), np.array([holds]), np.array([weight])):
            yield self._finding(moment)

    def finish(self, step: int) -> Iterable[Finding]:
        """Close the episode at its last bad step."""
        for moment in self.episode.end():
            yield self._finding(moment)

    def _finding(self, moment: str) -> Finding:
        if moment == "open":
            self.episode.first = self.began  # it was so from the first step of the streak
        closed = moment == "close"
        sentence, severity, evidence = self.tell()
        return Finding(
            id=self.id,
            title=self.title,
            first=self.episode.first,
            last=self.episode.last if closed else None,
            sentence=f"{sentence}, {span(self.episode, closed)}.",
            remedy=self.remedy,
            severity=severity,
            evidence=evidence,
            signals=tuple(n for n in self.needs if n != "eps"),
        )

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data, with what the subclass remembers."""
        return {"streak": self.streak, "began": self.began, "episode": self.episode.state_dict(), **self.memory()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.streak, self.began = state["streak"], state["began"]
        self.episode.load_state_dict(state["episode"])
        self.remember(state)

    def memory(self) -> dict[str, Any]:
        """What a subclass keeps besides, as plain JSON data."""
        return {}

    def remember(self, state: Mapping[str, Any]) -> None:
        """Take back what `memory` gave."""
