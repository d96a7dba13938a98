"""Detectors of quantities, whatever the program that recorded them calls them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.base import Detector
from workbench.detectors.lasting import Streak
from workbench.detectors.vocabulary import names

_LARGEST = 1e100  # so that sums of a few values stay finite


class Quantities(Detector):
    """Base: a subclass says in `quantities` what it reads, and `look` gets that, under these names and as numbers.

    A quantity is read from the first signal that has one of its names (the preferred one, if several appear at the same
    step) and from that one alone from then on. Values that are not finite, and vectors, are passed over.

    Attributes:
        quantities: keys of `vocabulary.NAMES`; `needs` follows from them.
        also: further names for them: ``class Mine(HockeyStick): also = {"reward": ("return",)}``.
    """

    quantities: ClassVar[tuple[str, ...]] = ()
    also: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    _names: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._names = {q: names(q, cls.also.get(q, ())) for q in cls.quantities}
        cls.needs = tuple(dict.fromkeys(name for every in cls._names.values() for name in every))

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, str] = {}  # quantity → the signal it is read from

    def look(self, step: int, seen: Mapping[str, float]) -> Iterable[Finding]:
        """Findings that are new or have changed; `seen` holds the quantities that have a value at this step."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """As `Detector.update`."""
        numbers = {name: number for name, value in values.items() if (number := _number(value)) is not None}
        seen = {}
        for quantity, known in self._names.items():
            if quantity not in self.read:
                name = next((name for name in known if name in numbers), None)
                if name is None:
                    continue
                self.read[quantity] = name
            if self.read[quantity] in numbers:
                seen[quantity] = numbers[self.read[quantity]]
        if seen:
            yield from self.look(step, seen)

    def signals(self, *quantities: str) -> tuple[str, ...]:
        """The signals that these quantities are read from."""
        return tuple(dict.fromkeys(self.read[q] for q in quantities if q in self.read))

    def state_dict(self) -> dict[str, Any]:
        """As `Detector.state_dict`, with what the subclass remembers."""
        return {"read": dict(self.read), **self.memory()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As `Detector.load_state_dict`."""
        self.read = dict(state["read"])
        self.remember(state)

    def memory(self) -> dict[str, Any]:
        """What a subclass keeps besides, as plain JSON data."""
        return {}

    def remember(self, state: Mapping[str, Any]) -> None:
        """Take back what `memory` gave."""


class Lasting(Quantities):
    """Base: a condition that must hold for `lasting` values in a row; over after `patience` values without it.

    A subclass says in `judge` whether it holds, and in `tell` what was seen. `told` are the quantities whose signals
    carry the finding.
    """

    lasting: ClassVar[int] = 10
    patience: ClassVar[int] = 10
    told: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.streak = Streak(self.lasting, self.patience)

    @property
    def evidence(self) -> dict[str, float]:
        """Of the last value at which it held."""
        return self.streak.evidence

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """The numbers of a condition that holds (``bad``: how bad, above 0), empty: it does not, None: cannot say."""
        raise NotImplementedError

    def tell(self) -> tuple[str, str]:
        """Sentence (without its range of steps) and severity, from `evidence`."""
        raise NotImplementedError

    def look(self, step: int, seen: Mapping[str, float]) -> Iterator[Finding]:
        """As `Quantities.look`."""
        numbers = self.judge(step, seen)
        if numbers is not None:
            yield from self._say(self.streak.feed(step, numbers))

    def finish(self, step: int) -> Iterator[Finding]:
        """As `Detector.finish`: it ends at its last bad value."""
        yield from self._say(self.streak.episode.end())

    def _say(self, moments: Iterable[str]) -> Iterator[Finding]:
        for moment in moments:
            yield self.streak.finding(moment, self, *self.tell(), self.signals(*self.told))

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        return {"streak": self.streak.state_dict()}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        self.streak.load_state_dict(state["streak"])


class Level:
    """Where a series began, and the mean of its last five values.

    The start is the value of an evaluation recorded by the first step, if that measures the same thing (see `take`),
    else the mean of the first two values.

    Attributes:
        start: None until it is known.
        noise: standard deviation of a value about its neighbours: mean |difference| / 1.128, of up to 32 values.
        count: values so far.
    """

    WINDOW = 5

    def __init__(self) -> None:
        self.evaluation: float | None = None
        self.start: float | None = None
        self.recent: list[float] = []
        self.count = 0
        self.noise = 0.0

    def evaluate(self, value: float | None) -> None:
        """Take an evaluation's value; one that comes after the first value says nothing about the start."""
        if value is not None and not self.count:
            self.evaluation = value

    def take(self, value: float, within: float) -> float | None:
        """The mean of the last five values, None before there are five.

        An evaluation further than `within` from the first value measures something else, on other prompts, say.
        """
        self.count += 1
        if self.count == 1:
            if self.evaluation is not None and abs(self.evaluation - value) <= within:
                self.start = self.evaluation
        else:
            apart = abs(value - self.recent[-1]) / 1.128
            self.noise += (apart - self.noise) / min(self.count - 1, 32)
        self.recent = [*self.recent, value][-self.WINDOW :]
        if self.count == 2 and self.start is None:
            self.start = sum(self.recent) / 2
        return sum(self.recent) / self.WINDOW if len(self.recent) == self.WINDOW else None

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {**vars(self), "recent": list(self.recent)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        vars(self).update(state, recent=list(state["recent"]))


def _number(value: Any) -> float | None:
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "fiub":
        return None
    number = float(array)
    return max(-_LARGEST, min(number, _LARGEST)) if math.isfinite(number) else None
