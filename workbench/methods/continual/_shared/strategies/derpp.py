"""DER++ (Buzzega et al., NeurIPS 2020, arXiv 2004.07211): replay holds on to the logits of old, and to labels.

Equal to lvyilin/AdaB2N @9aaba7e, models/derpp.py: two independent draws, as soon as the buffer holds something.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from workbench.methods.continual._shared.learner import Step

MIXED = False


def draws(_task: int) -> int:
    """Replay draws a step."""
    return 2


def loss(step: Step) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the new images; alpha MSE(logits now, logits stored) + beta cross-entropy of the replayed."""
    fresh = F.cross_entropy(step.new.logits, step.new.labels)
    if not step.replays:
        return fresh, fresh.new_zeros(())
    first, second = step.replays
    assert first.stored is not None
    kept = F.mse_loss(first.logits, first.stored)
    return fresh, step.config.alpha * kept + step.config.beta * F.cross_entropy(second.logits, second.labels)
