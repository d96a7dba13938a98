"""A loss that climbs back and stays up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from workbench.cards.findings import Finding
from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import PerSignal
from workbench.detectors.windows import WindowTrack


class Divergence(PerSignal):
    """At least half of what was gained is lost again, in `lasting` windows of 25 values in a row.

    Gained = mean of the first window − mean of the lowest; a rise counts only beyond 6 standard errors of a window. A
    loss that never gained anything diverges when it rises by half of its first level.
    """

    id = "divergence"
    title = "Divergence"
    needs = ("*loss*",)
    patience = 2
    size = 25
    lasting = 3
    share = 0.5
    remedy = (
        "Lower the learning rate, clip the gradient's norm; fork from a step before the rise. If the objective was "
        "made harder on purpose (a ramp, a new task), slow that down."
    )

    def _track(self) -> WindowTrack:
        return WindowTrack(self.patience, self.size)

    def _follow(self, name: str, track: WindowTrack, steps: np.ndarray, values: np.ndarray) -> Iterator[Finding]:
        if values.ndim != 1:
            return
        for first, last, mean in track.fill(steps, values):
            track.improve(last, mean, 0.0)
            rise = mean - track.best_mean
            gained = track.first_mean - track.best_mean
            ground = max(gained, abs(track.first_mean) if gained <= 6 * track.noise else 0.0)
            up = rise > 6 * track.noise and rise > self.share * ground > 0
            track.run_length = track.run_length + 1 if up else 0
            track.run_start = first if track.run_length == 1 else track.run_start
            diverging = up and track.run_length >= self.lasting
            lost = min(rise / ground, 1e12) if ground > 0 else 0.0
            for moment in track.episode.feed(
                np.array([last]), np.array([diverging]), np.array([lost]), np.array([mean])
            ):
                note = track.episode.note
                if moment == "open":
                    note.update(best=track.best_mean, best_step=track.best_step, since=track.run_start)
                    note["first_mean"] = track.first_mean
                yield self.finding(name, track.episode, moment)

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        note = episode.note
        verb = "rose" if closed else "has risen"
        sentence = (
            f"{name} {verb} from its lowest level {note['best']:.4g} (step {note['best_step']}) to {episode.value:.4g} "
            f"(step {episode.peak_step}); it began at {note['first_mean']:.4g}"
        )
        sentence += f". It came back after step {episode.last}." if closed and episode.good else "."
        evidence = {**{k: note[k] for k in ("best", "best_step", "since", "first_mean")}, "peak": episode.value}
        above = episode.value > note["first_mean"]
        return sentence, evidence, "serious" if above else "warning"
