"""Empirical risk minimisation: the mean loss over all pictures, whatever their environment."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.methods.imbalance.bonsai.objective import Seen


def risk(seen: Seen) -> Tensor:
    """Mean over the pool."""
    return F.binary_cross_entropy_with_logits(torch.cat(seen.logits), torch.cat(seen.targets))
