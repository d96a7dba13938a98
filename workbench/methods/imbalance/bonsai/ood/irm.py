"""IRMv1: a dummy scale on the logits wants to stay 1 in each environment (Arjovsky et al. 2019, eq. IRMv1)."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.methods.imbalance.bonsai.objective import Seen


def penalty(seen: Seen) -> Tensor:
    """Mean over environments of (dL(s z, y)/ds at s = 1)^2, where dL/ds is the mean of (sigmoid(z) - y) z."""
    slopes = [((z.sigmoid() - y) * z).mean() for z, y in zip(seen.logits, seen.targets, strict=True)]
    return torch.stack(slopes).square().mean()
