"""How much a network has changed inside since its first step. Needs torch alone.

From the script of the paper's authors (BioRNN_RichLazy, main.py); the effective ranks are ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue

RANKS = ("stable", "entropy", "participation")
Function = Callable[[Tensor], Tensor]


def alignment(K: Tensor, K0: Tensor) -> float | None:
    """Cosine <K, K0> / (|K| |K0|) of two kernels (n, n): 1 unchanged; None where one is all zeros (a dead network)."""
    scale = torch.linalg.norm(K) * torch.linalg.norm(K0)
    return float((K * K0).sum() / scale) if float(scale) > 0 else None


def gram(hidden: Tensor) -> Tensor:
    """H H^T (n, n) of hidden states (n, units)."""
    return hidden @ hidden.T


def sign_similarity(hidden: Tensor, hidden0: Tensor) -> float:
    """Share of activities whose sign is that of the first step's; 0 is a sign of its own."""
    return float((hidden.sign() == hidden0.sign()).double().mean())


def tangent_kernel(outputs: Function, weight: Tensor) -> Tensor:
    """K = J J^T (m, m), J = d outputs / d weight, for outputs(weight) of any shape with m numbers."""
    J = torch.func.jacrev(lambda W: outputs(W).reshape(-1))(weight.detach())
    J = J.reshape(J.shape[0], -1)
    return (J @ J.T).detach()


def check_kernel(numbers: int, weights: int, budget: float, *, bytes_each: int = 4) -> None:
    """Refuse a kernel whose Jacobian (numbers, weights) and matrix need more than `budget` GiB."""
    needed = bytes_each * numbers * (numbers + weights) / 2**30
    if needed > budget:
        raise InvalidValue(
            f"The tangent kernel of {numbers} outputs by {weights:,} weights needs {needed:.2f} GiB, above "
            f"kernel_budget = {budget:g} GiB. Take fewer kernel_probe inputs or hidden units, or raise kernel_budget."
        )


def effective_ranks(singular: Tensor) -> list[float]:
    """Three answers to "what rank has it?", of singular values s (n,), in the order of `RANKS`.

    Stable rank sum s^2 / max s^2, exp of the entropy of s / sum s, participation ratio (sum s^2)^2 / sum s^4.
    """
    s = singular.double()
    s = s[s > s.max() * 1e-14]
    if not len(s):
        return [0.0, 0.0, 0.0]
    square, share = s.square(), s / s.sum()
    entropy = -(share * share.log()).sum()
    stable, participation = square.sum() / square.max(), square.sum() ** 2 / square.square().sum()
    return [float(stable), float(entropy.exp()), float(participation)]
