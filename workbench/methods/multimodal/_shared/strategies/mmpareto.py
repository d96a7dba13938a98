"""MMPareto (ICML 2024): where an encoder's joint and unimodal gradients conflict, the shortest of their mixtures.

The min-norm point equals GeWu-Lab/MMPareto_ICML2024 @a339db3, min_norm_solvers.py (golden vectors). Conflicts are
decided on an encoder's whole gradient; the head keeps the plain sum.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import vector_to_parameters

from workbench.methods.multimodal._shared import measures, strategy
from workbench.methods.multimodal._shared.network import MODALITIES, Outputs, TwoModalities, flat_gradient

LONGER = 1.5


class Strategy(strategy.Strategy):
    """L + L_a + L_v; each encoder's gradient is the mixture."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.weights = (1.0, 1.0, 1.0)
        self.gradients: dict[str, Tensor] = {}

    def before_backward(self, network: TwoModalities, out: Outputs) -> None:
        """See `strategy.Strategy.before_backward`."""
        factors = []
        for m, own in zip(MODALITIES, out.losses[1:], strict=True):
            parameters = network.parameters_of(m)
            joint, alone = flat_gradient(out.losses[0], parameters), flat_gradient(own, parameters)
            self.gradients[m] = mixed(joint, alone)
            factors.append(float(self.gradients[m].norm() / (joint + alone).norm().clamp_min(measures.TINY)))
        self.coefficients = (factors[0], factors[1])

    def after_backward(self, network: TwoModalities, out: Outputs) -> None:
        """See `strategy.Strategy.after_backward`."""
        for m in MODALITIES:
            parameters = network.parameters_of(m)
            for p in parameters:
                p.grad = torch.empty_like(p)
            vector_to_parameters(self.gradients[m], [p.grad for p in parameters if p.grad is not None])
        self.gradients = {}


def mixed(joint: Tensor, alone: Tensor) -> Tensor:
    """An encoder's gradient (n,): 2 (k₀ joint + k₁ alone), as long as the plain sum if shorter, times 1.5."""
    k = (0.5, 0.5) if measures.cosine(joint, alone) > 0 else min_norm(joint, alone)
    found = 2 * (k[0] * joint + k[1] * alone)
    usual = (joint + alone).norm()
    return LONGER * (found * (usual / found.norm().clamp_min(measures.TINY)) if found.norm() < usual else found)


def min_norm(g: Tensor, h: Tensor) -> tuple[float, float]:
    """k ≥ 0 with sum 1 that make k₀ g + k₁ h shortest (two tasks, closed form)."""
    gg, hh, gh = float(g @ g), float(h @ h), float(g @ h)
    if gh >= gg:
        return 1.0, 0.0
    if gh >= hh:
        return 0.0, 1.0
    k = (hh - gh) / (gg + hh - 2 * gh)
    return k, 1 - k
