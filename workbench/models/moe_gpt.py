"""A small byte-level GPT whose feed-forward parts are mixtures of experts; usable alone, with torch only.

``MoEGPT(Shape())(tokens)`` gives the logits and, of each layer, the `Routing`: which expert each token went to, with
which weight, and the router's probabilities. What differs between methods plugs in: a router, the attention, and the
experts' shape. `loss` and `routing` terms are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu, "silu": F.silu, "relu": F.relu, "gelu_tanh": partial(F.gelu, approximate="tanh"),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """The sizes of a model. `experts` = 1 is a dense model, whose layers have no router."""

    vocabulary: int = 256
    width: int = 64
    heads: int = 4
    layers: int = 3
    length: int = 64
    experts: int = 8
    hidden: int = 128
    top_k: int = 2
    gated: bool = False
    activation: str = "gelu"
    parallel: bool = False
    norm_head: bool = False

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise InvalidValue(f"width must be a multiple of heads; got {self.width} and {self.heads}.")
        if self.experts < 1 or not 1 <= self.top_k <= max(self.experts, 1):
            raise InvalidValue(
                f"experts must be at least 1, and top_k between 1 and experts; got {self.experts} and {self.top_k}."
            )
        if self.length < 8:
            raise InvalidValue(f"length must be at least 8 tokens; got {self.length}.")


@dataclass
class Routing:
    """What a router decided for T tokens: S slots, each a token that goes to an expert with a weight.

    `token`, `expert` (S,) int64; `weight` (S,), with gradient; an expert's number of `experts` or above is a null
    expert, whose output is 0. `logits`, `probabilities` (T, E') over all that the router scores; `chosen` (T, K) int64
    where every token has K slots, else None. `scores` (T, E'): what selection ranked, without gradient.
    """

    token: Tensor
    expert: Tensor
    weight: Tensor
    logits: Tensor
    probabilities: Tensor
    chosen: Tensor | None = None
    scores: Tensor | None = None

    @property
    def counts(self) -> Tensor:
        """Slots of each expert the router scores, (E',) int64."""
        return torch.bincount(self.expert, minlength=self.logits.shape[-1])


class TopK(nn.Module):
    """Each token goes to the K experts with the highest score plus bias; weights are the scores alone, summing to 1.

    `bias` (E,) is a buffer, 0 unless a balancing rule moves it: it chooses and never weighs. `score` is ``softmax`` or
    ``sigmoid`` of the logits. Ties go to the lower index, so that copies of an expert stay together.
    """

    bias: Tensor

    def __init__(
        self, width: int, experts: int, top_k: int, *, std: float = 0.02, score: str = "softmax",
        renormalise: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(torch.randn(experts, width) * std)
        self.register_buffer("bias", torch.zeros(experts))
        self.top_k, self.score, self.renormalise = top_k, score, renormalise

    def logits(self, x: Tensor) -> Tensor:
        """Of tokens (T, d): (T, E)."""
        return F.linear(x, self.weight)

    def affinity(self, logits: Tensor, probabilities: Tensor) -> Tensor:
        """How much each expert suits each token, (T, E): what selection ranks and weights are made of."""
        return probabilities if self.score == "softmax" else logits.sigmoid()

    def forward(self, x: Tensor) -> Routing:
        """Route tokens (T, d)."""
        logits = self.logits(x)
        probabilities = logits.softmax(-1)
        affinity = self.affinity(logits, probabilities)
        ranked = affinity.detach() + self.bias.to(affinity)
        chosen = ranked.sort(stable=True, dim=-1, descending=True).indices[:, : self.top_k]
        weight = affinity.gather(-1, chosen)
        if self.renormalise:
            weight = weight / weight.sum(-1, keepdim=True)
        return top_k_routing(chosen, weight, logits, probabilities, ranked)


def top_k_routing(chosen: Tensor, weight: Tensor, logits: Tensor, probabilities: Tensor, scores: Tensor) -> Routing:
    """The `Routing` of K slots a token: `chosen` and `weight` (T, K), the others (T, E)."""
    tokens, k = chosen.shape
    token = torch.arange(tokens, device=chosen.device).repeat_interleave(k)
    return Routing(token, chosen.reshape(-1), weight.reshape(-1), logits, probabilities, chosen, scores)


class Experts(nn.Module):
    """E feed-forward networks of one shape, as stacked matrices without biases.

    `up` (E, H, d), `down` (E, d, H) and, for gated ones, `linear` (E, H, d): down · (activation(up x) ∘ linear x).
    """

    def __init__(self, number: int, width: int, hidden: int, *, gated: bool = False, activation: str = "gelu") -> None:
        super().__init__()
        self.up = nn.Parameter(torch.randn(number, hidden, width) / math.sqrt(width))
        self.down = nn.Parameter(torch.randn(number, width, hidden) / math.sqrt(hidden))
        self.linear = nn.Parameter(torch.randn(number, hidden, width) / math.sqrt(width)) if gated else None
        self.activation = ACTIVATIONS[activation]

    @property
    def number(self) -> int:
        """How many experts there are."""
        return self.up.shape[0]

    def one(self, expert: int, x: Tensor) -> Tensor:
        """The output of one expert for tokens (n, d)."""
        return self._feed(x, self.up[expert], self.down[expert], None if self.linear is None else self.linear[expert])

    def _feed(self, x: Tensor, up: Tensor, down: Tensor, linear: Tensor | None) -> Tensor:
        inner = self.activation(F.linear(x, up))
        return F.linear(inner if linear is None else inner * F.linear(x, linear), down)

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """Tokens (T, d) through the experts they were sent to, weighted and added: (T, d).

        Slots are sorted by expert once, so that each expert multiplies one contiguous stretch.
        """
        expert, order = torch.sort(routing.expert, stable=True)
        counts = torch.bincount(expert, minlength=self.number).tolist()
        slots = sum(counts[: self.number])  # null experts are behind the others
        order = order[:slots]
        token = routing.token.index_select(0, order)
        stretches = x.index_select(0, token).split(counts[: self.number])
        ups, downs = self.up.unbind(0), self.down.unbind(0)
        linears = [None] * self.number if self.linear is None else self.linear.unbind(0)
        parts = [
            self._feed(part, up, down, linear)
            for part, up, down, linear in zip(stretches, ups, downs, linears, strict=True)
            if len(part)
        ]
        if not parts:
            return torch.zeros_like(x)
        weight = routing.weight.index_select(0, order).unsqueeze(-1)
        return torch.zeros_like(x).index_add(0, token, (torch.cat(parts) * weight).to(x.dtype))


class MoE(nn.Module):
    """A router and its experts; with one expert and no router a dense feed-forward network."""

    def __init__(self, experts: Experts, router: nn.Module | None) -> None:
        super().__init__()
        self.experts = experts
        self.router = router

    def forward(self, x: Tensor) -> tuple[Tensor, Routing | None]:
        """Tokens (T, d) to (T, d), and how they were routed (None: dense). Raises `InvalidValue`: logits not finite."""
        if self.router is None:
            return self.experts.one(0, x), None
        routing: Routing = self.router(x)
        if not torch.isfinite(routing.logits).all():
            raise InvalidValue(
                "A router's logits are not finite, so nothing was routed. Go back to a checkpoint and lower the "
                "learning rate."
            )
        return self.experts(x, routing), routing


class Attention(nn.Module):
    """Causal self-attention over (B, L, d), all heads in one matrix, without biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, d) to (B, L, d)."""
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Normalise, attend, add; normalise, feed forward, add. `parallel`: both from one normalised input, added at once.

    Feed-forward parts see tokens as one list (B · L, d).
    """

    def __init__(self, width: int, attention: nn.Module, moe: MoE, *, parallel: bool = False) -> None:
        super().__init__()
        self.before_attention = nn.RMSNorm(width)
        self.before_experts = nn.Identity() if parallel else nn.RMSNorm(width)
        self.attention = attention
        self.moe = moe
        self.parallel = parallel

    def forward(self, x: Tensor) -> tuple[Tensor, Routing | None]:
        """(B, L, d) to (B, L, d)."""
        normal = self.before_attention(x)
        attended = self.attention(normal)
        if not self.parallel:
            x = x + attended
            normal = self.before_experts(x)
        out, routing = self.moe(normal.reshape(-1, x.shape[-1]))
        x = x + out.view_as(x)
        return (x + attended if self.parallel else x), routing


@dataclass
class Output:
    """`logits` (B, L, V) of the next byte, and one `Routing` a layer with a router, over B · L tokens."""

    logits: Tensor
    routings: list[Routing]


class MoEGPT(nn.Module):
    """Pre-RMSNorm GPT with learned positions and tied embedding; `router(layer)` and `attention(layer)` plug in.

    Initial weights come from torch's global generator: build it under a seed of yours.
    """

    def __init__(
        self,
        shape: Shape,
        router: Callable[[int], nn.Module] | None = None,
        attention: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        s = shape
        self.embedding = nn.Embedding(s.vocabulary, s.width)
        self.position = nn.Embedding(s.length, s.width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)
        router = router or (lambda layer: TopK(s.width, s.experts, s.top_k))
        attention = attention or (lambda layer: Attention(s.width, s.heads))
        self.blocks = nn.ModuleList(
            Block(
                s.width, attention(layer),
                MoE(
                    Experts(s.experts, s.width, s.hidden, gated=s.gated, activation=s.activation),
                    router(layer) if s.experts > 1 else None,
                ),
                parallel=s.parallel,
            )
            for layer in range(s.layers)
        )  # fmt: skip
        self.last_norm = nn.RMSNorm(s.width)

    @property
    def routers(self) -> list[nn.Module]:
        """The routers, first layer first."""
        return [b.moe.router for b in self.blocks if b.moe.router is not None]  # type: ignore[union-attr, misc]

    def forward(self, tokens: Tensor) -> Output:
        """Bytes (B, L) int64, L at most the shape's length.

        Raises:
            InvalidValue: a longer sequence; router logits that are not finite (the step is not carried out).
        """
        length = tokens.shape[1]
        if length > self.shape.length:
            raise InvalidValue(f"A sequence may have at most {self.shape.length} tokens; got {length}.")
        x = self.embedding(tokens) + self.position.weight[:length]
        routings = []
        for block in self.blocks:
            x, routing = block(x)
            if routing is not None:
                routings.append(routing)
        return Output(self.head(self.last_norm(x)), routings)

    def head(self, x: Tensor) -> Tensor:
        """Logits (…, V) by the tied embedding; `norm_head`: by its columns of norm 1 (Ling, §3.4.1)."""
        weight = self.embedding.weight
        return F.linear(x, normalised_columns(weight) if self.shape.norm_head else weight)


def normalised_columns(weight: Tensor) -> Tensor:
    """Each hidden column of a head (V, d) divided by its norm over the vocabulary, taken without gradient.

    As in Ling's released model (`compute_logit`): dim 0, detached, plus 1e-7.
    """
    return weight / (weight.detach().norm(dim=0, keepdim=True) + 1e-7)
