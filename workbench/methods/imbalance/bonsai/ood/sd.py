"""Spectral decoupling: small logits instead of small weights (Pezeshki et al. 2021, eq. 16). Weights of 10 to 500."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.methods.imbalance.bonsai.objective import Seen


def penalty(seen: Seen) -> Tensor:
    """Mean squared logit, summed over environments."""
    return torch.stack([z.square().mean() for z in seen.logits]).sum()
