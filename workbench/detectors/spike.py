"""A sudden rise of a loss or gradient norm far outside its recent scatter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import PerSignal, Track, span

WINDOW = 128  # values that median and scatter are taken from
REFRESH = 32  # values between two looks at them, also the number needed before the first


class SpikeTrack(Track):
    """The last `WINDOW` values and, renewed every `REFRESH` of them, their median and robust scatter."""

    FIELDS = ("ring", "seen", "median", "scatter")

    def __init__(self, patience: int) -> None:
        super().__init__(patience)
        self.ring = np.zeros(WINDOW)
        self.seen = 0
        self.median = self.scatter = 0.0  # scatter 0: nothing can be said yet

    def renew(self) -> None:
        """Take median and scatter from the ring."""
        recent = np.sort(self.ring[: min(self.seen, WINDOW)])
        middle = len(recent) // 2
        self.median = float(recent[middle])
        deviations = np.sort(np.abs(recent - self.median))
        # A constant series has no scatter: one per cent of its level then, or nothing is said where it is zero.
        self.scatter = max(1.4826 * float(deviations[middle]), 0.01 * abs(self.median))


class Spike(PerSignal):
    """A value more than `threshold` robust standard deviations (1.4826 MAD) above the median of the last 128.

    Until a lasting new level has filled half of that window it counts as one long spike. Robust z-score: Iglewicz and
    Hoaglin, How to Detect and Handle Outliers, 1993, with a far stricter limit than their 3.5.
    """

    id = "spike"
    title = "Spike"
    needs = ("*loss*", "*grad_norm*")
    patience = 20
    threshold = 10.0
    remedy = (
        "A single spike that heals needs nothing. If they come often: a lower learning rate or a longer warm-up, "
        "clipping of the gradient's norm, or a look at the batch of that step."
    )

    def _track(self) -> SpikeTrack:
        return SpikeTrack(self.patience)

    def _follow(self, name: str, track: SpikeTrack, steps: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
        if values.ndim != 1:
            return
        values = values.astype(np.float64, copy=False)
        finite = np.isfinite(values)
        if not finite.all():
            steps, values = steps[finite], values[finite]
        at = 0
        while at < len(values):
            take = min(REFRESH - track.seen % REFRESH, len(values) - at)
            part = values[at : at + take]
            if track.scatter > 0:
                with np.errstate(over="ignore"):
                    scores = np.minimum((part - track.median) / track.scatter, 1e12)
                for moment in track.episode.feed(steps[at : at + take], scores > self.threshold, scores, part):
                    if moment == "open":
                        track.episode.note["median"] = track.median
                    yield self.finding(name, track.episode, moment)
            place = track.seen % WINDOW
            track.ring[place : place + take] = part
            track.seen += take
            if track.seen % REFRESH == 0:
                track.renew()
            at += take

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        median = episode.note["median"]
        sentence = (
            f"{name} jumped to {episode.value:.4g} at step {episode.peak_step}, {episode.peak:.3g} times its usual "
            f"scatter above its recent median of {median:.4g}"
        )
        if episode.count > 1:
            sentence += f"; {episode.count} such values {span(episode, closed)}"
        evidence = {"peak": episode.value, "step": episode.peak_step, "score": episode.peak, "median": median}
        return sentence + ".", {**evidence, "count": episode.count}, "warning"
