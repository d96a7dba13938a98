"""Experience replay (Chaudhry et al. 2019, arXiv 1902.10486): cross-entropy on new and on replayed images alike.

Not in the AdaB2N repository; as in mammoth, replay starts as soon as the buffer holds something.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from workbench.methods.continual._shared.learner import Step

MIXED = False


def draws(_task: int) -> int:
    """Replay draws a step."""
    return 1


def loss(step: Step) -> tuple[Tensor, Tensor]:
    """Loss of the new and of the replayed images, scalars."""
    fresh = F.cross_entropy(step.new.logits, step.new.labels)
    replayed = [F.cross_entropy(p.logits, p.labels) for p in step.replays]
    return fresh, replayed[0] if replayed else fresh.new_zeros(())
