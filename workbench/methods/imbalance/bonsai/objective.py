"""What a step has seen of its environments, and the loss that a method makes of it.

Agrees with the authors' `vrex_train`, `irm_train`, `dro_train` and `erm_train` (github.com/TjuJianyu/RFC).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import WorkbenchError


@dataclass(frozen=True)
class Seen:
    """Of each environment (or group) its logits (n,) and targets (n,) in 0, 1; and the weights that are trained."""

    logits: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    trained: tuple[nn.Parameter, ...]

    @cached_property
    def losses(self) -> Tensor:
        """Mean binary cross-entropy of each environment, shape (environments,), nats."""
        pairs = zip(self.logits, self.targets, strict=True)
        return torch.stack([F.binary_cross_entropy_with_logits(z, y) for z, y in pairs])


@dataclass(frozen=True)
class Objective:
    """What is minimised (`loss`), and of what it is made; no penalty where the method has none."""

    loss: Tensor
    risk: Tensor
    penalty: Tensor | None = None

    def check(self, where: str) -> None:
        """Raise `WorkbenchError` if the loss is not finite, saying `where` and whether the penalty is to blame."""
        if torch.isfinite(self.loss):
            return
        if self.penalty is not None and not torch.isfinite(self.penalty):
            raise WorkbenchError(
                f"The penalty is {self.penalty.item()} at {where}, the risk {self.risk.item():.3g}. Fork before it "
                f"with a smaller penalty_weight or optimizer.lr, or mend the method."
            )
        raise WorkbenchError(f"The loss is {self.loss.item()} at {where}. Fork before it with a smaller optimizer.lr.")


def squared(weights: Sequence[Tensor]) -> Tensor:
    """Sum of the squares of all of them, biases too."""
    return torch.stack([w.square().sum() for w in weights]).sum()


def objective(method: ModuleType, seen: Seen, *, penalty_weight: float, decay: Tensor) -> Objective:
    """risk + penalty_weight * penalty + decay, the whole divided by penalty_weight where that is above 1.

    A method without penalty is neither weighted nor divided. `decay` is the l2 term, a number.
    """
    risk = method.risk(seen) if hasattr(method, "risk") else seen.losses.sum()
    if not hasattr(method, "penalty"):
        return Objective(risk + decay, risk)
    penalty = method.penalty(seen)
    loss = risk + decay + penalty_weight * penalty
    return Objective(loss / max(penalty_weight, 1.0), risk, penalty)
