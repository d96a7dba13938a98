"""Which stage trains, and what the rounds before it have found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from workbench.methods.imbalance.bonsai.knobs import ROUNDS, Bonsai

ERM, DISCOVERY, SYNTHESIS, OOD = "erm", "discovery", "synthesis", "ood"


class Progress:
    """Register it. `index` counts stages, `began` is the first step of this one, `best` its best worst accuracy.

    `correct` (rounds so far, n) bool: which training pictures each round is right on. `scores` (rounds so far, 3): per
    cent right of each on the test pictures.
    """

    def __init__(self, images: int) -> None:
        self.stage, self.index, self.began, self.best = "", -1, 0, -1.0
        self.correct = torch.zeros(0, images, dtype=torch.bool)
        self.scores = torch.zeros(0, 3, dtype=torch.float64)

    @property
    def code(self) -> int:
        """0 ERM, 1 to 3 discovery, 4 synthesis, 5 the OoD method."""
        return {ERM: 0, DISCOVERY: len(self.correct), SYNTHESIS: ROUNDS, OOD: ROUNDS + 1}[self.stage]

    def over(self, config: Bonsai, step: int) -> bool:
        """Whether another stage begins with this step; the last has no end of its own."""
        lengths = {"": 0, ERM: config.erm_steps, DISCOVERY: config.discovery_steps, SYNTHESIS: config.discovery_steps}
        return self.stage != OOD and step - self.began >= lengths[self.stage]

    def following(self, config: Bonsai) -> str:
        """The stage behind this one; what a round has found is in `correct` by then."""
        if not self.stage:
            return OOD if config.start == "random" else ERM
        if config.start == "erm" or self.stage == SYNTHESIS:
            return OOD
        if len(self.correct) < config.rounds:
            return DISCOVERY
        return SYNTHESIS if config.synthesis else OOD

    def begin(self, stage: str, step: int) -> None:
        """Go into a stage."""
        self.stage, self.began, self.best = stage, step, -1.0

    def found(self, correct: Tensor, scores: Tensor) -> None:
        """A round has ended: right on these training pictures (n,), and these test scores (3,)."""
        self.correct = torch.cat([self.correct, correct[None]])
        self.scores = torch.cat([self.scores, scores[None]])

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        vars(self).update(state)
