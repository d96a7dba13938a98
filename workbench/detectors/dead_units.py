"""Units, experts or classes whose activity has gone."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span
from workbench.detectors.streaks import Streaks


class DeadUnits(Streaks):
    """Components of an activity or share below `share` of the components' mean for `lasting` values in a row.

    A card watches its own signals with a subclass: ``class DeadExperts(DeadUnits): needs = ("expert_load",)``.
    """

    id = "dead_units"
    title = "Dead units"
    needs = ("*activity", "*_load", "*alive*")
    patience = 10
    share = 0.01
    remedy = (
        "A lower learning rate, an activation that lets some gradient through, another initialisation; for experts a "
        "load-balancing term or bias."
    )

    def _held(self, values: np.ndarray) -> np.ndarray:
        if values.shape[1] < 2:
            return np.zeros(values.shape, bool)
        return np.asarray(values <= self.share * np.abs(values).mean(axis=1, keepdims=True))

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        shown, evidence = self.which(name, episode)
        number, total = evidence["number"], evidence["of"]
        sentence = (
            f"{number} of {total} components of {name} ({shown}) stayed below {self.share:.0%} of the mean for "
            f"{self.lasting} values in a row, {span(episode, closed)}."
        )
        return sentence, {**evidence, "most": int(episode.peak)}, "serious" if 2 * number >= total else "warning"
