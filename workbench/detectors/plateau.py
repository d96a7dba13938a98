"""A loss that has stopped falling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import PerSignal
from workbench.detectors.windows import WindowTrack


class Plateau(PerSignal):
    """No window of 50 values lower than the lowest one, beyond noise and 0.5 %, for a third of the run so far.

    At least `wait` windows must have passed without one.
    """

    id = "plateau"
    title = "Plateau"
    needs = ("*loss*",)
    patience = 1
    size = 50
    wait = 10
    tolerance = 0.005
    remedy = (
        "If it is low enough, the run may be stopped. Else try a lower learning rate (noise floor), a higher one or a "
        "warm restart (flat region), or more capacity."
    )

    def _track(self) -> WindowTrack:
        return WindowTrack(self.patience, self.size)

    def _follow(self, name: str, track: WindowTrack, steps: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
        if values.ndim != 1:
            return
        for _, last, mean in track.fill(steps, values):
            track.improve(last, mean, self.tolerance)
            idle = track.windows - track.best_window
            flat = idle >= max(self.wait, track.windows // 3)
            for moment in track.episode.feed(np.array([last]), np.array([flat]), values=np.array([mean])):
                if moment != "close":
                    track.episode.note.update(best=track.best_mean, best_step=track.best_step, now=mean)
                yield self.finding(name, track.episode, moment)

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        best, step, now = (episode.note[k] for k in ("best", "best_step", "now"))
        end = f"until step {episode.last}" if closed else f"up to step {episode.last}"
        sentence = (
            f"{name} found no lower level after step {step} (lowest mean of {self.size} values {best:.4g}, "
            f"later {now:.4g}), {end}."
        )
        return sentence, {"best": best, "best_step": step, "now": now}, "info"
