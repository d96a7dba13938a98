"""Detectors that look at each signal on its own: one track a signal, of which findings are told as episodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.base import Detector
from workbench.detectors.episodes import Episode


class Track:
    """What a detector remembers of one signal; a subclass adds to `FIELDS` what JSON can hold as it is."""

    FIELDS: tuple[str, ...] = ()

    def __init__(self, patience: int) -> None:
        self.episode = Episode(patience)

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        state = {name: getattr(self, name) for name in self.FIELDS}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in state.items()}
        return {**plain, "episode": self.episode.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name in self.FIELDS:
            now = getattr(self, name)
            setattr(self, name, np.array(state[name], now.dtype) if isinstance(now, np.ndarray) else state[name])
        self.episode.load_state_dict(state["episode"])


class PerSignal(Detector):
    """Base: a subclass gives `_track` and `_follow` for one signal, and `_tell` for the words.

    `patience` is the number of good values after which an episode is over.
    """

    patience = 50

    def __init__(self) -> None:
        super().__init__()
        self._tracks: dict[str, Any] = {}

    def _track(self) -> Track:
        """A fresh track for a signal seen for the first time."""
        return Track(self.patience)

    def _follow(self, name: str, track: Any, steps: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
        """Findings of one signal; `values` are (n,) float64, or (n, *shape) for vectors and larger."""
        raise NotImplementedError

    def update(self, step: int, values: Mapping[str, Any]) -> Iterable[Finding]:
        """As `Detector.update`: a block of one step."""
        return self.update_block(np.array([step]), {name: np.asarray(value)[None] for name, value in values.items()})

    def update_block(self, steps: np.ndarray, columns: Mapping[str, np.ndarray]) -> Iterable[Finding]:
        """As `Detector.update_block`: each wanted signal follows its own track."""
        for name, column in columns.items():
            if not self.wants(name):
                continue
            values = np.asarray(column)
            if values.dtype.kind not in "fiub":  # text
                continue
            track = self._tracks.get(name)
            if track is None:
                track = self._tracks[name] = self._track()
            yield from self._follow(name, track, steps, values)

    def finish(self, step: int) -> Iterable[Finding]:
        """As `Detector.finish`: an episode ends at its last bad value."""
        for name, track in self._tracks.items():
            for moment in track.episode.end():
                yield self.finding(name, track.episode, moment)

    def finding(self, name: str, episode: Episode, moment: str) -> Finding:
        """The finding that tells this moment of an episode."""
        closed = moment == "close"
        sentence, evidence, severity = self._tell(name, episode, closed)
        return Finding(
            id=self.id,
            title=self.title,
            first=episode.first,
            last=episode.last if closed else None,
            sentence=sentence,
            remedy=self.remedy,
            severity=severity,
            evidence=evidence,
            signals=(name,),
            subject=name,
        )

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        """Sentence, evidence and severity."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """As `Detector.state_dict`: the track of each signal."""
        return {name: track.state_dict() for name, track in self._tracks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As `Detector.load_state_dict`."""
        self._tracks = {}
        for name, saved in state.items():
            self._tracks[name] = self._track()
            self._tracks[name].load_state_dict(saved)


def span(episode: Episode, closed: bool) -> str:
    """The step range in words: ``at step 7``, ``from step 7 to 90``, ``since step 7``."""
    if closed and episode.last == episode.first:
        return f"at step {episode.first}"
    return f"from step {episode.first} to {episode.last}" if closed else f"since step {episode.first}"
