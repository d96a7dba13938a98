"""What a step has seen of its unlabelled batch, as the methods for it are given it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from workbench.methods.imbalance.semixup import losses
from workbench.methods.imbalance.semixup.knobs import Semixup


@dataclass(frozen=True)
class Seen:
    """`x` and `augmented` (B, 1, 28, 28), the network in training (dropout on), l of the batch, and the knobs."""

    x: Tensor
    augmented: Tensor
    network: Callable[[Tensor], Tensor]
    weight: float
    config: Semixup

    @property
    def out(self) -> Tensor:
        """Pictures off the data manifold: l x1 + (1 - l) x2, x2 the batch reversed."""
        return self.mixed(self.x)

    def mixed(self, rows: Tensor) -> Tensor:
        """Pictures, logits or probabilities, each mixed with its partner's."""
        return losses.mixed(rows, losses.partners(rows), self.weight)

    def aim(self, target: Tensor) -> Tensor:
        """The undisturbed side of a distance; no gradient flows into it if `stop_gradient` is on."""
        return target.detach() if self.config.stop_gradient else target
