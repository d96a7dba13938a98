"""Prototypical modal rebalance (PMR, CVPR 2023): the slower modality is drawn to its classes' prototypes.

Equal to fanyunfeng-bit/Modal-Imbalance-PMR @3615e48, main_Prototype_grad.py (golden vectors); prototypes are taken over
the whole training set, which is small here, not over a tenth of it. The entropy regulariser is left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.methods.multimodal._shared import measures, strategy
from workbench.methods.multimodal._shared.network import Outputs
from workbench.methods.multimodal._shared.strategy import Lookout
from workbench.signals import emit

MOMENTUM = 0.2  # of the old prototypes


class Strategy(strategy.Strategy):
    """The fused loss, and the weaker modality's prototype loss."""

    KEPT = ("prototypes",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.prototypes: list[Tensor] = []

    def begin(self, epoch: int, lookout: Lookout) -> None:
        """Prototypes are renewed."""
        super().begin(epoch, lookout)
        part = lookout.pair.train
        with torch.no_grad():
            features = lookout.network.features(*part.inputs(self.config))
        new = [prototypes(f, part.y, lookout.pair.classes) for f in features]
        pairs = zip(new, self.prototypes, strict=True) if self.prototypes else ()
        self.prototypes = [(1 - MOMENTUM) * n + MOMENTUM * o for n, o in pairs] or new

    def loss(self, out: Outputs) -> Tensor:
        """See `strategy.Strategy.loss`."""
        a, v = (similarities(f, p) for f, p in zip(out.features, self.prototypes, strict=True))
        ratio = measures.discrepancy(a, v, out.y)
        emit("prototype_ratio", ratio)
        own = tuple(F.cross_entropy(s, out.y) for s in (a, v))
        return strategy.weighed((*self.weights, *coefficients(ratio, self.config.pmr_alpha)), (*out.losses, *own))


def prototypes(features: Tensor, y: Tensor, classes: int) -> Tensor:
    """Mean feature of each class (C, d); of a class that is not there, 0."""
    sums = features.new_zeros(classes, features.shape[1]).index_add(0, y, features)
    return sums / torch.bincount(y, minlength=classes).clamp_min(1)[:, None]


def similarities(features: Tensor, centres: Tensor) -> Tensor:
    """−‖f − prototype‖₂, not squared, (B, C)."""
    return -torch.cdist(features, centres, compute_mode="donot_use_mm_for_euclid_dist")


def coefficients(ratio: float, alpha: float) -> tuple[float, float]:
    """Weights of the prototype losses of a and v: alpha for the one that is behind."""
    if ratio == 1:
        return 0.0, 0.0
    return (0.0, alpha) if ratio > 1 else (alpha, 0.0)
