"""The loss that the configuration asks for, as a shape of `losses.focal`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.methods.imbalance._shared.losses import class_balanced_weights
from workbench.methods.imbalance.comic import losses
from workbench.methods.imbalance.comic.knobs import Comic


class Modifier:
    """Knows how often each class is recorded, and which classes together.

    Args: recorded labels (N, C) of the training examples; names of the classes. Raises `InvalidValue` for other labels
    than 0 and 1, and for a class without a positive.
    """

    def __init__(self, recorded: Tensor, names: Sequence[str] = ()) -> None:
        losses.check_labels(recorded)
        losses.check_positives(recorded, names)
        self.counts = recorded.sum(0)
        self.together = losses.co_occurrence(recorded)
        self.balanced = class_balanced_weights(self.counts.double()).float()
        self.typical = losses.prior(recorded, self.together).mean(0)

    def shape(self, config: Comic) -> dict[str, Any]:
        """Arguments of `losses.focal`, but for the attention."""
        c = config
        if c.loss == "bce":
            return {}
        if c.loss == "class_balanced":
            return {"weight": self.balanced}
        common = {"gamma_pos": c.gamma_pos, "clip": c.clip}
        if c.loss == "asymmetric":
            return {"gamma_neg": c.gamma_neg, **common}
        weight = losses.class_weights(self.counts, c.weight_power).float()
        return {"weight": weight, "gamma_neg": c.gamma_neg + weight, **common}

    def loss(self, x: Tensor, y: Tensor, config: Comic) -> Tensor:
        """Sum over a batch's logits and recorded labels (B, C)."""
        attention = None
        if config.loss == "prior_focal" and bool(y.any()):  # without any label nothing occurs together
            attention = losses.prior(y, self.together)
        return losses.focal(x, y, attention=attention, **self.shape(config)).sum()

    def curve(self, p: Tensor, label: float, config: Comic) -> Tensor:
        """The loss (n, C) of each class at probabilities p (n,); with the prior, among average labels."""
        x = torch.logit(p)[:, None].expand(-1, len(self.counts))
        attention = self.typical.expand_as(x) if config.loss == "prior_focal" else None
        return losses.focal(x, torch.full_like(x, label), attention=attention, **self.shape(config))
