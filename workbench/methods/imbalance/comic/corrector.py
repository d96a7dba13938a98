"""The reflective label corrector: recorded negatives that the network is sure of are trained as positives.

After the COMIC authors' `loss/ReflectiveLabelCorrectorLoss.py`; the gates are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.methods.imbalance.comic.losses import class_weights, focal


@dataclass(frozen=True)
class Recall:
    """A batch's labels (B, C) after recalling, and which of them were recalled (bool)."""

    labels: Tensor
    recalled: Tensor


def recall(x: Tensor, y: Tensor, *, level: Tensor | float = 0.7, margin: float = 1.0) -> Recall:
    """A negative whose probability is above `level` and above its class's mean in the batch becomes positive.

    Args:
        x, y: logits and recorded labels (B, C).
        margin: what logits of recorded positives first lose, which lowers the mean.
        level: one for all (the authors': 0.7), or one a class (C,).
    """
    p = torch.sigmoid(x.detach() - margin * y)
    found = (p > level) & (p > p.mean(0)) & (y == 0)
    return Recall(torch.where(found, torch.ones_like(y), y), found)


def levels(p: Tensor, y: Tensor, share: float) -> Tensor:
    """(C,) the probability that the `share` * n_c most probable negatives of a class reach, n_c its recorded positives.

    So a class can get back at most about that many labels, however far all of its probabilities have drifted.

    Args: p probabilities, y recorded labels (N, C) of the training examples; share 0 gives 1, which nothing exceeds.
    """
    negatives = torch.where(y == 1, torch.full_like(p, -1.0), p).sort(0, descending=True).values
    allowed = (share * y.sum(0)).floor().long()
    last = (allowed - 1).clamp(0, len(p) - 1)
    found = negatives.gather(0, last[None])[0]
    just_below = torch.nextafter(found, torch.zeros_like(found))
    return torch.where(allowed > 0, just_below.clamp(min=0), torch.ones_like(found))


class Corrector:
    """The loss on recalled labels, with weights from counts to which this epoch's recalled labels are added.

    Attributes:
        counts: (C,) labels of each class as they were recorded, and what has been recalled in this epoch.
    """

    def __init__(self, counts: Tensor) -> None:
        self.recorded = counts.clone()
        self.counts = counts.clone()

    def new_epoch(self) -> None:
        """Recalled labels of the last epoch no longer count."""
        self.counts = self.recorded.clone()

    def loss(
        self, x: Tensor, y: Tensor, found: Recall, *, power: float = 1 / 6, gamma_neg: float = 3.0,
        gamma_pos: float = 0.0, clip: float = 0.05, margin: float = 1.0, batch_size: int = 32,
    ) -> Tensor:  # fmt: skip
        """Multi-focal loss of the recalled labels times batch_size / positives; 0 for a batch without a positive.

        As in the authors' code recorded positives are judged after the margin here, too.
        """
        self.counts = self.counts + found.recalled.sum(0).to(self.counts)
        positives = found.labels.sum()
        if not positives:
            return x.new_zeros(())
        weight = class_weights(self.counts, power).to(x)
        each = focal(
            x - margin * y, found.labels, weight=weight, gamma_neg=gamma_neg + weight, gamma_pos=gamma_pos, clip=clip
        )
        return each.sum() * batch_size / positives

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.counts = state["counts"]
