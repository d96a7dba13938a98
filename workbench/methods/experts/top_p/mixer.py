"""How many experts each token takes, which ones, and with which weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.models.moe_gpt import Experts, MoE, Routing

TINY = 1e-6  # added to the sum of a token's multipliers, as in the authors' code
THIRD, REST = 0.3333, 0.6667  # of Heun's third-order estimate of the gradient, as in SparseMixer


def number(logits: Tensor, top_p: float) -> Tensor:
    """The fewest experts whose probabilities add up to at least `top_p`, (T,) int64 from 1 to E; logits (T, E).

    Raises:
        InvalidValue: top_p outside [0, 1].
    """
    if not 0 <= top_p <= 1:
        raise InvalidValue(f"top_p must lie between 0 and 1; got {top_p}.")
    mass = logits.detach().softmax(-1).sort(-1, descending=True).values.cumsum(-1)
    return (1 + (mass < top_p).sum(-1)).clamp(max=logits.shape[-1])


class _Estimate(torch.autograd.Function):
    """The multiplier of a drawn expert, whose gradient is a softmax's whatever the multiplier was scaled by."""

    @staticmethod
    def forward(ctx: Any, _scores: Tensor, multiplier: Tensor, drawn: Tensor, gates: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(multiplier, drawn, gates)
        return multiplier * scale

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        multiplier, drawn, gates = ctx.saved_tensors
        pull = pull * multiplier
        return (-gates * pull).scatter_add(-1, drawn, pull), None, None, None, None


def mix(logits: Tensor, k: Tensor, jitter: float, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Choose k experts a token one after the other: their weights, adding up to 1, and who was chosen, both (T, E).

    In each round those further below the highest remaining logit than twice `jitter`, relative to the larger of the
    two by size, are out; the multiplier is the softmax of those still in. SparseMixer (Liu et al. 2024) for any k.

    Args:
        logits: (T, E); k: (T,) int64.
        generator: draws among those still in, with the estimated gradient (training); None: takes the highest.
    """
    left, rounds = logits, int(k.max())
    weights, chosen = torch.zeros_like(logits), torch.zeros_like(logits, dtype=torch.bool)
    for turn in range(rounds):
        with torch.no_grad():
            highest, first = left.max(-1, keepdim=True)
            out = (highest - logits) / logits.abs().clamp(min=highest.abs()) > 2 * jitter
        among = left.masked_fill(out, float("-inf"))
        gates = among.softmax(-1)
        if generator is None:
            picked = first
            multiplier = gates.gather(-1, picked)
        else:
            noise = torch.empty_like(among).exponential_(generator=generator).log()
            picked = (among.detach() - noise).argmax(-1, keepdim=True)
            lucky = torch.rand(picked.shape, generator=generator, dtype=logits.dtype) > 0.75
            scale = THIRD + REST * ((picked == gates.argmax(-1, keepdim=True)) | lucky).to(logits)
            multiplier = _Estimate.apply(logits, gates.gather(-1, picked).detach(), picked, gates.detach(), scale)
        on = (turn < k)[:, None]
        weights = weights + torch.zeros_like(logits).scatter(-1, picked, multiplier * on)
        chosen = chosen | torch.zeros_like(chosen).scatter(-1, picked, on)
        left = left.scatter(-1, picked, float("-inf"))
    return weights / (weights.sum(-1, keepdim=True) + TINY), chosen


def shares(logits: Tensor, weights: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the dynamic experts (T, E) and of the shared ones (T, S), together about 1.

    A softmax over all that run says how much the shared ones get; the rest is parted by `weights`.

    Args:
        logits: of dynamic, then shared experts, (T, E + S); weights, chosen: as `mix` gives them, (T, E).
    """
    experts = weights.shape[-1]
    if logits.shape[-1] == experts:
        return weights, weights[:, :0]
    runs = F.pad(chosen, (0, logits.shape[-1] - experts), value=True)
    mass = logits.masked_fill(~runs, float("-inf")).softmax(-1)
    return weights * mass[:, :experts].sum(-1, keepdim=True), mass[:, experts:]


def balance_loss(logits: Tensor, chosen: Tensor) -> Tensor:
    """E Σ over dynamic experts, null ones too, of how often chosen times mean softmax among the chosen, a scalar.

    Since shares of choices add up to the mean number of experts, that is about its value when balanced. Both (T, E).
    """
    among = logits.masked_fill(~chosen, torch.finfo(logits.dtype).min).softmax(-1)
    return logits.shape[-1] * (chosen.to(logits).mean(0) * among.mean(0)).sum()


@dataclass
class Mixed(Routing):
    """A routing with `taken` (T, E) bool, who was chosen, and `shared` (T, S), the weights of the shared experts."""

    taken: Tensor | None = None
    shared: Tensor | None = None

    @property
    def numbers(self) -> Tensor:
        """How many dynamic experts each token takes, (T,) int64."""
        assert self.taken is not None
        return self.taken.sum(-1)


class TopP(nn.Module):
    """Routes to as many of R routed and Z null experts as `top_p` asks for; S shared ones always run.

    Args:
        settings: where `top_p` (0: `top_k` experts), `top_k` and `jitter` are looked up at each call.
        generator: gives the generator that training draws with.
    """

    def __init__(
        self, width: int, routed: int, null: int, shared: int, settings: Any,
        generator: Callable[[], torch.Generator], *, std: float = 0.02,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(torch.randn(routed + null + shared, width) * std)
        self.dynamic = routed + null
        self.settings, self.generator = settings, generator

    def forward(self, x: Tensor) -> Mixed:
        """Route tokens (T, d)."""
        s, logits = self.settings, F.linear(x, self.weight)
        dynamic = logits[:, : self.dynamic]
        k = number(dynamic, s.top_p) if s.top_p else torch.full((len(x),), s.top_k, dtype=torch.int64)
        weights, chosen = mix(dynamic, k, s.jitter, self.generator() if self.training else None)
        weights, shared = shares(logits, weights, chosen)
        token, expert = chosen.nonzero(as_tuple=True)
        return Mixed(
            token, expert, weights[token, expert], dynamic, dynamic.softmax(-1), None, dynamic.detach(), chosen, shared
        )


class WithShared(MoE):
    """A mixture with experts that all tokens go to, beside the routed ones."""

    def __init__(self, experts: Experts, router: TopP, shared: Experts | None) -> None:
        super().__init__(experts, router)
        self.shared = shared

    def forward(self, x: Tensor) -> tuple[Tensor, Routing | None]:
        """Tokens (T, d) to (T, d), and how they were routed."""
        out, routing = super().forward(x)
        assert isinstance(routing, Mixed)
        if self.shared is not None:
            assert routing.shared is not None
            for expert in range(self.shared.number):
                out = out + self.shared.one(expert, x) * routing.shared[:, expert, None]
        return out, routing
