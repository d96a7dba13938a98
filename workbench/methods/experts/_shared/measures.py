"""What can be read off a routing: loads, their imbalance, specialisation, and which experts are chosen together."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.models.moe_gpt import Routing

DEAD = 0.05  # of an even share: below this, over `WINDOW` steps, an expert is dead
WINDOW = 50


def stacked_slots(routings: Sequence[Routing], kinds: Tensor, number: int) -> Tensor:
    """Slots by layer, kind of token and expert, (layers, `number`, E) int64; `kinds` (T,): 0 … number − 1."""
    experts = routings[0].logits.shape[-1]
    counted = [
        torch.bincount(kinds[r.token] * experts + r.expert, minlength=number * experts).view(number, experts)
        for r in routings
    ]
    return torch.stack(counted)


def shares(counts: Tensor) -> Tensor:
    """Counts over their sum along the last axis; 0 where there are none."""
    return counts / counts.sum(-1, keepdim=True).clamp_min(1)


def entropy(probabilities: Tensor) -> Tensor:
    """Along the last axis, in nats."""
    return torch.special.entr(probabilities).sum(-1)


def max_violation(load: Tensor) -> Tensor:
    """Largest load over an even share, minus 1: 0 is balanced, E − 1 is one expert for all (Wang et al. 2024)."""
    return load.amax(-1) * load.shape[-1] - 1


def specialisation(load_by_domain: Tensor) -> Tensor:
    """I(domain; expert) over ln D with equal domains, of loads (…, D, E): 0 if all use experts alike, to 1."""
    domains = load_by_domain.shape[-2]
    gained = entropy(load_by_domain.mean(-2)) - entropy(load_by_domain).mean(-1)
    return (gained / math.log(domains)).clamp_min(0)


def together(chosen: Tensor, experts: int) -> Tensor:
    """How many tokens chose both i and j, (E, E); the diagonal counts those that chose i. `chosen` (T, K) int64."""
    picked = torch.zeros(chosen.shape[0], experts, device=chosen.device).scatter_(1, chosen, 1.0)
    return picked.T @ picked


def conditional(both: Tensor) -> Tensor:
    """P(j | i) from `together`, (E, E): of the tokens that chose i, the share that chose j too."""
    return both / both.diagonal().clamp_min(1)[:, None]


def jaccard(both: Tensor) -> Tensor:
    """Tokens that chose both over tokens that chose either, (E, E)."""
    own = both.diagonal()
    return both / (own[:, None] + own[None] - both).clamp_min(1)


def lift(both: Tensor, tokens: int) -> Tensor:
    """P(i, j) / (P(i) P(j)) from `together` of so many tokens, (E, E); 1: chosen independently."""
    own = both.diagonal() / tokens
    return both / tokens / (own[:, None] * own[None]).clamp_min(1e-12)


def interference(task: Tensor, balancing: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Cosine between the gradients of two losses on the same weights, one a weight: -1, they pull against each other.

    The graph is kept, so that the loss can still be minimised; 0 where a gradient vanishes.
    """
    pulls = [torch.autograd.grad(loss, list(weights), retain_graph=True) for loss in (task, balancing)]
    return torch.stack([
        torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0) for a, b in zip(*pulls, strict=True)
    ])  # fmt: skip


class Deaths:
    """Counts dead experts a layer: those with less than 5 % of an even share over the last 50 steps."""

    def __init__(self) -> None:
        self.recent: deque[Tensor] = deque(maxlen=WINDOW)

    def update(self, load: Tensor) -> Tensor:
        """The number of dead experts a layer, (layers,), with this step's load (layers, E)."""
        self.recent.append(load)
        mean = torch.stack(tuple(self.recent)).mean(0)
        return (mean * load.shape[-1] < DEAD).sum(-1)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"recent": list(self.recent)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.recent = deque(state["recent"], maxlen=WINDOW)
