"""Detectors of a condition that must last: components of a vector (or one scalar) that stay outside what is healthy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import PerSignal, Track


class StreakTrack(Track):
    """For each component: for how many values in a row the condition has held."""

    FIELDS = ("length",)

    def __init__(self, patience: int) -> None:
        super().__init__(patience)
        self.length = np.zeros(0, np.int64)

    def extend(self, held: np.ndarray) -> np.ndarray:
        """Lengths (n, k) of each component's streak after each of these values; `_held` (n, k) says where it holds."""
        if self.length.size != held.shape[1]:
            self.length = np.zeros(held.shape[1], np.int64)
        position = np.arange(1, len(held) + 1)[:, None]
        broken = np.maximum.accumulate(np.where(held, 0, position), axis=0)
        lengths = np.where(broken == 0, self.length + position, position - broken)
        self.length = lengths[-1]
        return lengths


class Streaks(PerSignal):
    """Base: a subclass says in `_held` where its condition holds. `lasting` values in a row make a finding."""

    lasting = 50

    def _track(self) -> StreakTrack:
        return StreakTrack(self.patience)

    def _held(self, values: np.ndarray) -> np.ndarray:
        """Where the condition holds, (n, k) of values (n, k)."""
        raise NotImplementedError

    def _follow(self, name: str, track: StreakTrack, steps: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
        if values.ndim > 2:
            return
        table = values.reshape(len(values), -1)
        held = self._held(table)
        if not track.episode.open and not held.any():
            track.length = np.zeros(held.shape[1], np.int64)
            return
        lasting = track.extend(held) >= self.lasting
        numbers = lasting.sum(axis=1)
        for moment in track.episode.feed(steps, numbers > 0, numbers.astype(np.float64)):
            if moment != "close":
                at = int(np.searchsorted(steps, track.episode.last))
                components = np.flatnonzero(lasting[at]).tolist()
                value = float(table[at, components[0]])
                track.episode.note.update(components=components, of=lasting.shape[1], value=value)
            yield self.finding(name, track.episode, moment)

    def which(self, name: str, episode: Episode) -> tuple[str, dict[str, Any]]:
        """The components in words, and as evidence."""
        components = episode.note["components"]
        names = [self.component(name, i) for i in components]
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        evidence = {"components": names, "number": len(components), "of": episode.note["of"], "lasting": self.lasting}
        return shown, evidence
