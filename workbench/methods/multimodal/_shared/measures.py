"""How two modalities share the work, from their logits (B, C) and labels (B,): pure functions, no gradients kept."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TINY = 1e-12


def confidence(z: Tensor, y: Tensor) -> Tensor:
    """Mean probability of the right class, a scalar in 0 … 1."""
    return z.detach().softmax(1).gather(1, y[:, None]).mean()


def discrepancy(za: Tensor, zv: Tensor, y: Tensor) -> float:
    """rho = Σ softmax(z_a)[y] / Σ softmax(z_v)[y] (OGM-GE); above 1 modality a is ahead."""
    return float(confidence(za, y)) / max(float(confidence(zv, y)), TINY)


def dependence(za: Tensor, zv: Tensor) -> tuple[float, float]:
    """Σ_k mean_i |z_m,ik| of each read-out, over their sum (ARL); ½ each if both say nothing."""
    return _shares(*(float(z.detach().abs().mean(0).sum()) for z in (za, zv)))


def entropy(z: Tensor) -> float:
    """Mean entropy of the predictions, nats."""
    p = z.detach().softmax(1)
    return float(torch.special.entr(p).sum(1).mean())


def inverse_variance(ha: float, hv: float, clip: float = 0.0) -> tuple[float, float]:
    """What each should contribute if the entropies stand for variances: (1/H_m) / (1/H_a + 1/H_v).

    The entropies are first divided by their sum and, as ARL's code does, clipped from below.
    """
    sa, sv = (max(share, clip, TINY) for share in _shares(ha, hv))
    return _shares(1 / sa, 1 / sv)


def mismatch(dependence_a: float, target_a: float) -> float:
    """ln[(d_a / d_v) (σ_a² / σ_v²)]: 0 where the contributions are inverse to the variances, above it too much of a."""
    return _logit(dependence_a) - _logit(target_a)


def cosine(g: Tensor, h: Tensor) -> float:
    """Of two gradients; 0 if one of them is 0."""
    return float(g @ h / (g.norm() * h.norm()).clamp_min(TINY))


def shapley(both: float, only_a: float, only_v: float) -> tuple[float, float]:
    """What each adds to the accuracy, ½ [v(m) + v(both) − v(other)], which sum to v(both)."""
    return (only_a + both - only_v) / 2, (only_v + both - only_a) / 2


def accuracy(z: Tensor, y: Tensor) -> float:
    """Per cent right."""
    return 100 * float((z.argmax(1) == y).double().mean())


def _shares(a: float, v: float) -> tuple[float, float]:
    if not a + v > TINY:
        return 0.5, 0.5
    return a / (a + v), v / (a + v)


def _logit(share: float) -> float:
    return math.log(max(share, TINY)) - math.log(max(1 - share, TINY))
