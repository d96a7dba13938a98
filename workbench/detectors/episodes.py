"""An episode: a stretch of steps where something is wrong, told as few findings as will do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

_FIELDS = ("first", "last", "count", "peak", "peak_step", "value", "good", "opened", "due", "note")


class Episode:
    """Follows one condition of one subject: opens, grows, closes.

    It is told again only when it has become twice as long or twice as bad, and closes after `patience` good values.
    Each time it opens again its patience doubles, so that a condition that flickers for ever ends up as one long
    episode: findings grow with the logarithm of a run's length. All of it depends on the stream alone.

    Attributes:
        first, last: step of the first and of the latest bad value.
        count: bad values so far.
        peak, peak_step, value: largest weight, its step, and the value there.
        note: plain data that its detector keeps with it.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.opened = 0
        self._clear()

    def _clear(self) -> None:
        self.first = self.last = self.peak_step = -1
        self.count = self.good = self.due = 0
        self.peak = self.value = 0.0
        self.note: dict[str, Any] = {}

    @property
    def open(self) -> bool:
        """Whether it is going on."""
        return self.count > 0

    def feed(
        self, steps: np.ndarray, bad: np.ndarray, weights: np.ndarray | None = None, values: np.ndarray | None = None
    ) -> Iterator[str]:
        """Take steps (n,), whether each is bad (n,), how bad (n,), and the value to quote (n,).

        Yields ``open``, ``grow`` or ``close`` at the very value where that happened; the attributes then tell the
        episode up to that value. After ``close`` has been consumed the episode is empty.
        """
        if not bad.any():
            if self.count:
                yield from self._rest(len(steps))
            return
        weights = np.ones(len(steps)) if weights is None else weights
        values = weights if values is None else values
        edges = np.flatnonzero(bad[1:] != bad[:-1]) + 1
        for low, high in pairwise([0, *edges.tolist(), len(steps)]):
            if bad[low]:
                yield from self._suffer(steps[low:high], weights[low:high], values[low:high])
            elif self.count:
                yield from self._rest(high - low)

    def _rest(self, number: int) -> Iterator[str]:
        self.good += number
        if self.good >= self.patience * 2 ** min(self.opened - 1, 20):
            yield "close"
            self._clear()

    def _suffer(self, steps: np.ndarray, weights: np.ndarray, values: np.ndarray) -> Iterator[str]:
        self.good = 0
        at = 0
        if not self.count:
            self.opened += 1
            self.first = int(steps[0])
            self._absorb(steps[:1], weights[:1], values[:1])
            yield "open"
            self.due, told, at = 16, self.peak, 1
            self.note["told"] = told
        while at < len(steps):
            longer = int(np.searchsorted(steps[at:], self.first + self.due))
            worse = np.flatnonzero(weights[at:] >= 2 * self.note["told"])
            stop = at + min([longer, *worse[:1].tolist()]) + 1
            self._absorb(steps[at:stop], weights[at:stop], values[at:stop])
            if stop <= len(steps):
                self.due = max(self.due, 2 * (self.last - self.first + 1))
                self.note["told"] = self.peak
                yield "grow"
            at = stop

    def _absorb(self, steps: np.ndarray, weights: np.ndarray, values: np.ndarray) -> None:
        self.count += len(steps)
        self.last = int(steps[-1])
        worst = int(np.argmax(weights))
        if self.peak_step < 0 or weights[worst] > self.peak:
            self.peak, self.peak_step, self.value = float(weights[worst]), int(steps[worst]), float(values[worst])

    def end(self) -> Iterator[str]:
        """Close it if it is open: no more values will come."""
        if self.count:
            yield "close"
            self._clear()

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data; infinite and undefined numbers as text."""
        state = {name: getattr(self, name) for name in _FIELDS}
        return {k: repr(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in _FIELDS:
            value = state[name]
            setattr(self, name, float(value) if isinstance(value, str) else value)
        self.note = dict(self.note)
