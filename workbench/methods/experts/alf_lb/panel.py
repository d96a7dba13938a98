"""The router by itself: fixed scores, and a bias under each of the four rules side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts.alf_lb import dual
from workbench.methods.experts.alf_lb.knobs import AlfLb
from workbench.signals import emit

TOKENS = 512
SIZES = {"sign": 0.01, "constant": 0.5, "inv_sqrt_n": 1.0, "inv_n": 2.0}  # u of each rule, as `dual.step` takes it
SHOCK, SHOCKED = 3.0, 50


def scores(rng: np.random.Generator, tokens: int, experts: int) -> Tensor:
    """Sigmoids of normal numbers with a normal offset an expert, so that some are liked by most, (T, E) float64."""
    logits = rng.standard_normal((tokens, experts)) + rng.standard_normal(experts)
    return torch.from_numpy(logits).sigmoid()


class Panel:
    """Biases of all rules, (rules, E), over scores (512, E) that stay as they are."""

    def __init__(self, config: AlfLb, session: SessionProtocol) -> None:
        self.config = config
        self.scores = scores(session.rng("init", "scores"), TOKENS, config.experts)
        self.bias = torch.zeros(len(dual.RULES), config.experts, dtype=self.scores.dtype)
        self.chosen = torch.stack([dual.choose(self.scores, b, config.top_k) for b in self.bias])
        self.updates = self.left = 0
        session.register(panel=self)
        session.action("shock", self.shock)

    def shock(self) -> None:
        """The first expert's score counts three times, for 50 steps."""
        self.left = SHOCKED

    def step(self) -> None:
        """One update of every bias."""
        c = self.config
        given = self.scores.clone()
        if self.left:
            given[:, 0] *= SHOCK
            self.left -= 1
        chosen = torch.stack([dual.choose(given, b, c.top_k) for b in self.bias])
        load = torch.stack([dual.loads(x, c.experts) for x in chosen])
        value = torch.stack([dual.lagrangian(given + b, b, x) for b, x in zip(self.bias, chosen, strict=True)])
        emit("rule_excess", (load - TOKENS * c.top_k / c.experts).abs().amax(1))
        emit("rule_lagrangian", value / TOKENS)
        emit("rule_bias", self.bias)
        emit("rule_load", load / TOKENS)
        flows = [dual.moved(a, b, c.experts)[0] for a, b in zip(self.chosen, chosen, strict=True)]
        emit("rule_flow", torch.stack(flows))
        self.chosen = chosen
        if c.freeze_bias:
            return
        self.updates += 1
        moves = [
            dual.step(counts.to(given), TOKENS, rule=rule, u=c.pace * SIZES[rule], update=self.updates)
            for rule, counts in zip(dual.RULES, load, strict=True)
        ]
        self.bias = self.bias + torch.stack(moves)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"bias": self.bias, "chosen": self.chosen, "updates": self.updates, "left": self.left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.bias, self.chosen = state["bias"], state["chosen"]
        self.updates, self.left = state["updates"], state["left"]
