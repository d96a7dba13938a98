"""Weights that move too little or too much in a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.detectors.episodes import Episode
from workbench.detectors.per_signal import span
from workbench.detectors.streaks import Streaks


class UpdateRatio(Streaks):
    """‖update‖ / ‖weight‖ of a step outside `low` .. `high` for `lasting` values in a row, as a scalar or a layer.

    A healthy ratio is commonly put at about 1e-3; the band here is two decades to either side.
    """

    id = "update_ratio"
    title = "Update ratio"
    needs = ("*update_ratio*",)
    patience = 20
    low, high = 1e-5, 1e-1
    remedy = (
        "Too small: raise the learning rate, or see whether the gradient arrives there at all. Too large: lower it, "
        "or warm it up. One layer alone: its initialisation or its own rate."
    )

    def _held(self, values: np.ndarray) -> np.ndarray:
        return np.asarray((values < self.low) | (values > self.high))

    def _tell(self, name: str, episode: Episode, closed: bool) -> tuple[str, dict[str, Any], str]:
        shown, evidence = self.which(name, episode)
        where = f" in {evidence['number']} of {evidence['of']} components ({shown})" if evidence["of"] > 1 else ""
        value = episode.note["value"]
        much = "little" if value < self.low else "much"
        sentence = (
            f"Weights move too {much} a step: {name} lay outside the healthy {self.low:g} to {self.high:g}{where} for "
            f"{self.lasting} values in a row, {span(episode, closed)}; it was {value:.2g}."
        )
        return sentence, {**evidence, "value": value}, "warning"
