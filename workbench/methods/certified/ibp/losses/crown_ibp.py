"""CROWN-IBP: margins by one backward pass, faded into those of intervals (Zhang et al. 2020, arXiv 1906.06316)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.methods.certified.ibp.loss import Loss, portion

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class CrownIbp(Loss):
    """beta runs from `beta_start` at eps = 0 to `beta_end` at the target; the paper: from 1 to 0, so it ends as IBP."""

    title: ClassVar[str] = "CROWN-IBP"
    moved_by: ClassVar[str] = "beta_end"
    beta_start: float = portion(1.0, "CROWN-IBP first", "share of the backward bounds where the ramp begins")
    beta_end: float = portion(0.0, "CROWN-IBP last", "share of the backward bounds at the target: 0 is IBP")

    def value(self, scene: Scene) -> Tensor:
        """See `Loss.value`."""
        beta = self.beta_start + (self.beta_end - self.beta_start) * scene.progress
        if beta == 0:
            return scene.bounds.robust_loss()
        from workbench.methods.certified.ibp import crown

        return scene.cross_entropy(beta * crown.margins(scene.bounds) + (1 - beta) * scene.bounds.margin)


LOSS = CrownIbp
