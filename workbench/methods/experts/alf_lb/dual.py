"""The assignment problem behind a selection bias: who is chosen, what it is worth, and who moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.methods.experts._shared import balance

RULES = ("sign", "constant", "inv_sqrt_n", "inv_n")


def choose(scores: Tensor, bias: Tensor, k: int) -> Tensor:
    """The K experts with the highest score plus bias of each token, (T, K) int64; ties go to the lower index.

    Raises:
        InvalidValue: a score that is not finite; fewer slots than experts.
    """
    tokens, experts = scores.shape
    if not torch.isfinite(scores).all():
        raise InvalidValue("Scores must be finite numbers; at least one is not. Check what the router computes.")
    if tokens * k < experts:
        raise InvalidValue(f"Tokens times top_k must be at least the {experts} experts; got {tokens} × {k}.")
    return (scores + bias).sort(stable=True, dim=-1, descending=True).indices[:, :k]


def loads(chosen: Tensor, experts: int) -> Tensor:
    """Tokens of each expert, (E,) int64."""
    return torch.bincount(chosen.flatten(), minlength=experts)


def lagrangian(ranked: Tensor, bias: Tensor, chosen: Tensor) -> Tensor:
    """Σ over chosen slots of score plus bias, minus L Σ bias with L = K T / E: what the bias step minimises.

    Args:
        ranked: scores plus `bias` (T, E); bias: (E,); chosen: (T, K). Returns a scalar.
    """
    tokens, experts = ranked.shape
    return ranked.gather(-1, chosen).sum() - chosen.shape[1] * tokens / experts * bias.sum()


def moved(before: Tensor, after: Tensor, experts: int) -> tuple[Tensor, Tensor]:
    """Tokens that left expert i for expert j, (E, E), and how many changed their set of experts, a scalar.

    A token that changes m experts counts 1/m for each pair of a left and a new one, so that row i adds up to the tokens
    that left i. `before`, `after`: (T, K).
    """
    old, new = (F.one_hot(c, experts).sum(1).float() for c in (before, after))
    left, came = old * (1 - new), new * (1 - old)
    changes = left.sum(-1)
    return (left / changes.clamp_min(1)[:, None]).T @ came, (changes > 0).sum()


def step(counts: Tensor, tokens: int, *, rule: str, u: float, update: int) -> Tensor:
    """`balance.bias_step` with loads as shares of the tokens in all rules but ``sign``, (E,)."""
    return balance.bias_step(counts, rule=rule, u=u if rule == "sign" else u / tokens, update=update)


@dataclass
class Trace:
    """Of n updates: `bias` (n + 1, E) from zeros on, `counts` (n, E), `lagrangian` (n,) before each update."""

    bias: Tensor
    counts: Tensor
    lagrangian: Tensor


def simulate(scores: Callable[[int], Tensor], updates: int, k: int, *, rule: str, u: float) -> Trace:
    """Move a bias over the scores (T, E) of each update; `u` as in `step`. In the scores' precision."""
    first = scores(0)
    bias = first.new_zeros(first.shape[1])
    biases, counts, values = [bias], [], []
    for n in range(updates):
        given = scores(n)
        chosen = choose(given, bias, k)
        load = loads(chosen, len(bias)).to(given)
        values.append(lagrangian(given + bias, bias, chosen))
        counts.append(load)
        bias = bias + step(load, len(given), rule=rule, u=u, update=n + 1)
        biases.append(bias)
    return Trace(torch.stack(biases), torch.stack(counts), torch.stack(values))


class Clock:
    """n of the rules u/n and u/√n: updates since the present rule is in force, from 1."""

    def __init__(self) -> None:
        self.rule, self.updates = "", 0

    def tick(self, rule: str) -> int:
        """The number of the next update under this rule."""
        self.updates = self.updates + 1 if rule == self.rule else 1
        self.rule = rule
        return self.updates

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"rule": self.rule, "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.rule, self.updates = state["rule"], state["updates"]
