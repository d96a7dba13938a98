"""Routers that weigh the experts they select in three ways, copies of a network, and what the weights tell."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.methods.experts._shared import growing
from workbench.models.moe_gpt import Experts, Routing, TopK

LOW, HIGH, BINS = -0.5, 1.5, 20  # applied weights that the cloud shows; those beyond stand in the end bins


class ScaledRouter(TopK):
    """Top-K of the softmax of x W_g; weights of the chosen ones, not made to add up to 1, by `variant`.

    ``vanilla``: their probabilities r. ``adamoe``: r + x W_s. ``csmoe``: softmax([x, r] W_s). `adapter` holds W_s
    transposed, (E, d) or (E, d + E), None for ``vanilla``.
    """

    def __init__(self, width: int, experts: int, top_k: int, variant: str, *, std: float = 0.006) -> None:
        super().__init__(width, experts, top_k, std=std, renormalise=False)
        self.variant = variant
        seen = {"vanilla": 0, "adamoe": width, "csmoe": width + experts}[variant]
        self.adapter = nn.Parameter(torch.randn(experts, seen) * std) if seen else None

    def forward(self, x: Tensor) -> Routing:
        """Route tokens (T, d)."""
        routing = super().forward(x)
        if self.adapter is None:
            return routing
        r = routing.probabilities
        if self.variant == "adamoe":
            weights = r + F.linear(x, self.adapter)
        else:
            weights = F.linear(torch.cat([x, r], -1), self.adapter).softmax(-1)
        assert routing.chosen is not None
        routing.weight = weights.gather(-1, routing.chosen).flatten()
        return routing


@torch.no_grad()
def upcycle(experts: Experts, dense: Experts, *, scale: float, noise: float, generator: torch.Generator) -> None:
    """Fill all experts with a dense network whose output is multiplied by `scale`, plus normal noise.

    Raises:
        InvalidValue: the network has another number of hidden units.
    """
    if dense.up.shape[1:] != experts.up.shape[1:]:
        raise InvalidValue(
            f"Experts that are copies have the dense network's hidden units, {dense.up.shape[1]}; got "
            f"{experts.up.shape[1]}."
        )
    growing.fill_experts(experts, dense)
    experts.down.mul_(scale)
    for weight in experts.parameters() if noise else ():
        weight.add_(noise * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))


def coupling(routing: Routing) -> Tensor:
    """Correlation over all slots of the logit that selected with the applied weight, a scalar; 0 if one is fixed.

    1: who is selected more surely counts more; 0: one says nothing of the other.
    """
    logit = routing.logits[routing.token, routing.expert]
    both = torch.stack([logit, routing.weight])
    both = both - both.mean(1, keepdim=True)
    norm = both.norm(dim=1).prod()
    return both.prod(0).sum() / norm if norm > 0 else norm


def gate_share(routing: Routing) -> Tensor:
    """The largest applied weight of each token over the sum of its weights, by size, (T,): 1/K is even, 1 alone."""
    assert routing.chosen is not None
    size = routing.weight.view(routing.chosen.shape).abs()
    return size.amax(1) / size.sum(1).clamp_min(1e-12)


def cloud(routing: Routing) -> Tensor:
    """Slots by applied weight (rows, the largest first) and probability (columns), (20, 20) counts."""
    probability = routing.probabilities[routing.token, routing.expert]
    column = (probability * BINS).long().clamp(0, BINS - 1)
    row = ((HIGH - routing.weight) / (HIGH - LOW) * BINS).long().clamp(0, BINS - 1)
    return torch.bincount(row * BINS + column, minlength=BINS * BINS).view(BINS, BINS)
