"""What the experts that are chosen together say: partners, lift, and how far a byte's experts are one copy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.methods.experts._shared import measures


def partners(conditional: Tensor, chosen: int) -> Tensor:
    """Mean over experts i of the number of j with P(j | i) > 2 (K − 1) / (E − 1), twice what independence gives.

    `conditional`: (E, E), see `measures.conditional`; `chosen`: K. A scalar.
    """
    experts = conditional.shape[0]
    off = conditional - torch.diag(conditional.diagonal())
    return (off > 2 * (chosen - 1) / max(1, experts - 1)).sum(1).float().mean() * (chosen > 1)


def partner_entropy(conditional: Tensor) -> Tensor:
    """Entropy of P(· | i) over the other experts, over its largest value, mean over experts that were chosen; a scalar.

    0: always the same partner; 1: any. With one expert a byte there are no partners: 0.
    """
    off = conditional - torch.diag(conditional.diagonal())
    used = off.sum(1) > 0
    if not used.any() or len(off) < 3:
        return torch.zeros(())
    return (measures.entropy(measures.shares(off[used])) / math.log(len(off) - 1)).mean()


def one_copy(chosen: Tensor, slices: int) -> Tensor:
    """Share of tokens whose experts (T, K) are slices of one copy; expert c·k + s is slice s of copy c."""
    copy = chosen // slices
    return (copy == copy[:, :1]).all(1).float().mean()


def lift_spread(lift: Tensor, used: Tensor) -> Tensor:
    """Largest |lift − 1| over pairs of different experts that were chosen; `used` (E,) bool. 0: independent."""
    pairs = used[:, None] & used[None] & ~torch.eye(len(used), dtype=torch.bool)
    return (lift[pairs] - 1).abs().max() if pairs.any() else torch.zeros(())
