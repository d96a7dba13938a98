"""The losses of the experiment by name; the mathematics is the family's `_shared.losses`."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from workbench.methods.imbalance._shared import losses
from workbench.methods.imbalance.foundation_bias.heads import SCALE
from workbench.methods.imbalance.foundation_bias.knobs import FoundationBias


def objective(c: FoundationBias, logits: Tensor, target: Tensor, counts: Tensor, prior: Tensor) -> Tensor:
    """The loss of one model's batch.

    Args:
        logits, target: (B, C), (B,).
        counts: (C,) training examples downstream.
        prior: (C,) shares of the classes in the model's pretraining.
    """
    if c.loss == "ce":
        return F.cross_entropy(logits, target)
    if c.loss == "focal":
        return losses.focal(logits, target, gamma=c.gamma)
    if c.loss == "class_balanced":
        return losses.weighted(logits, target, losses.class_balanced_weights(counts, beta=c.beta))
    if c.loss == "reweighting":
        return losses.weighted(logits, target, losses.reweighting(counts, power=c.power))
    if c.loss == "ldam":  # margins are cosines
        return losses.ldam(logits / SCALE, target, losses.ldam_margins(counts), scale=SCALE)
    if c.loss == "lade":
        return losses.lade(logits, target, losses.log_prior(counts))
    shift = losses.log_prior(counts, floor=losses.TINY)
    if c.loss == "la_prior":  # the authors' MultiExpertLoss
        logits = logits + prior.log()
    return losses.logit_adjusted(logits, target, shift, tau=c.tau)
