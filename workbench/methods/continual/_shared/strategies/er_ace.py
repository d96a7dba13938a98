"""ER-ACE (Caccia et al., ICLR 2022, arXiv 2104.05025): new images don't compete with old classes.

Equal to lvyilin/AdaB2N @9aaba7e, models/er_ace.py. (mammoth's present version has a cosine classifier of scale 10 and
masks with -1e9; the AdaB2N repository keeps the linear one.)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.methods.continual._shared.learner import Step

MIXED = False


def draws(task: int) -> int:
    """Replay draws a step: from the second task on."""
    return 1 if task > 0 else 0


def loss(step: Step) -> tuple[Tensor, Tensor]:
    """Loss of the new images, under the mask from the second task on, and of the replayed ones without it."""
    logits = step.new.logits
    if step.task > 0:
        allowed = competitors(step.new.labels, step.seen, step.config.mask)
        logits = logits.masked_fill(~allowed, torch.finfo(logits.dtype).min)
    fresh = F.cross_entropy(logits, step.new.labels)
    replayed = [F.cross_entropy(p.logits, p.labels) for p in step.replays]
    return fresh, replayed[0] if replayed else fresh.new_zeros(())


def competitors(labels: Tensor, seen: Tensor, mask: str) -> Tensor:
    """(classes,) bool: the classes of `labels` (B,) and those not yet seen.

    `mask="paper_code"`: as "not yet seen" the authors' code takes every index from the largest seen class upward, so
    that this class competes too, even if it is an old one (nothing, once the very last class has been seen).
    `"exact"` (ours): the classes that have not been seen.
    """
    allowed = torch.zeros_like(seen)
    if mask == "exact":
        allowed |= ~seen
    else:
        largest = int(seen.nonzero().max())
        if largest < len(seen) - 1:
            allowed[largest:] = True
    allowed[labels] = True
    return allowed
