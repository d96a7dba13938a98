"""What adds up within an epoch: recalled labels, whether they are true, and who pulls at each class's logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

COUNTS = ("recalled", "right", "audited", "audited_right")


class Tally:
    """Sums since the epoch began; register it."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.clear()

    def clear(self) -> None:
        """An epoch begins."""
        self.counts = dict.fromkeys(COUNTS, 0)
        self.pull = torch.zeros(2, self.classes)

    def recall(self, found: Tensor, truth: Tensor, audited: Tensor, *, used: bool) -> None:
        """A batch's candidates and true labels (B, C) bool, and which samples (B,) an auditor knows.

        Audits see what would be recalled, whether or not it is `used`.
        """
        right, seen = found & truth, found[audited]
        if used:
            self.counts["recalled"] += int(found.sum())
            self.counts["right"] += int(right.sum())
        self.counts["audited"] += int(seen.sum())
        self.counts["audited_right"] += int(right[audited].sum())

    def gradient(self, gradient: Tensor, recorded: Tensor) -> None:
        """A batch's gradient by the logits, and recorded labels (B, C)."""
        size = gradient.abs()
        self.pull += torch.stack([(size * recorded).sum(0), (size * (1 - recorded)).sum(0)])

    @property
    def positive_share(self) -> Tensor:
        """(C,) per cent of the gradient that comes from recorded positives."""
        return 100 * self.pull[0] / self.pull.sum(0).clamp(min=1e-12)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"counts": dict(self.counts), "pull": self.pull}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.counts, self.pull = dict(state["counts"]), state["pull"]
