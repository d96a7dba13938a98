"""What lets the corrector through: a level a class, and audits that do not speak against what it would recall. Ours."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from workbench.methods.imbalance.comic.corrector import levels

Z = 1.2816  # nine chances in ten


class Gate:
    """Levels of the last epoch's probabilities, how many audited labels it would have recalled, and how many rightly.

    A few audited examples say little, and the same ones come back in every epoch: nothing is added up over epochs.
    """

    def __init__(self, classes: int) -> None:
        self.level = torch.ones(classes)  # a probability that nothing exceeds
        self.right = self.seen = 0

    def renew(self, p: Tensor, recorded: Tensor, share: float, *, right: int, seen: int) -> None:
        """At an epoch's end: levels from probabilities and labels (N, C), and the epoch's audited recalls."""
        self.level = levels(p, recorded, share)
        self.right, self.seen = right, seen

    def approves(self, least: float) -> bool:
        """Whether the recalls' precision may well be `least`, in 0 … 1."""
        return upper_bound(self.right, self.seen) >= least

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"level": self.level, "right": self.right, "seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.level, self.right, self.seen = state["level"], int(state["right"]), int(state["seen"])


def upper_bound(right: int, seen: int, *, z: float = Z) -> float:
    """Wilson's one-sided upper bound on a share of which `right` of `seen` were found; 1 if none was seen."""
    if not seen:
        return 1.0
    share, room = right / seen, z**2 / seen
    spread = z * math.sqrt(share * (1 - share) / seen + room / (4 * seen))
    return (share + room / 2 + spread) / (1 + room)
