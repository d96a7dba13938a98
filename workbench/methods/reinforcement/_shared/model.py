"""Tiny decoders: pre-LN transformers with learned positions and GELU, with a vocabulary's head or a critic's.

Constructed weights come from an explicit generator, or are left empty for a state dict; torch's own stays untouched.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.methods.reinforcement._shared.vocabulary import SIZE

CONTEXT = 48  # positions: a prompt of 7 and a response of 40, and one to spare


@dataclass(frozen=True)
class Shape:
    """Width (a multiple of heads), number of blocks, heads, width of the hidden layer in each block."""

    width: int
    depth: int
    heads: int
    hidden: int


SIZES = {"xs": Shape(48, 2, 4, 192), "s": Shape(64, 2, 4, 256), "m": Shape(128, 3, 4, 512)}


def shape(size: str) -> Shape:
    """The shape of a preset: xs (60,000 parameters), s (107,000) or m (610,000). Raises `UnknownName`."""
    if size not in SIZES:
        raise UnknownName("model size", size, SIZES)
    return SIZES[size]


class Cache:
    """Keys and values (depth, B, heads, context, width/heads) of the tokens seen so far: `length` of them."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values, self.length = keys, values, 0


class Block(nn.Module):
    """Attention and a hidden layer, each behind a LayerNorm and beside a residual connection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, self.heads = shape.width, shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.utils.skip_init(nn.Linear, d, 3 * d), nn.utils.skip_init(nn.Linear, d, d)
        self.up, self.down = (
            nn.utils.skip_init(nn.Linear, d, shape.hidden), nn.utils.skip_init(nn.Linear, shape.hidden, d)
        )  # fmt: skip

    def forward(self, x: Tensor, cache: Cache | None = None, layer: int = 0) -> Tensor:
        """(B, T, d) to the same; with a cache these are the tokens after those it holds."""
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if cache is not None:
            end = cache.length + t
            cache.keys[layer, :, :, cache.length : end] = k
            cache.values[layer, :, :, cache.length : end] = v
            k, v = cache.keys[layer, :, :, :end], cache.values[layer, :, :, :end]
        # A single new token may look at all before it; is_causal would let it look at the first alone.
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Trunk(nn.Module):
    """Tokens to hidden states; what a decoder and a critic have in common."""

    def __init__(self, size: str, context: int) -> None:
        super().__init__()
        made = shape(size)
        if context < 1:
            raise InvalidValue(f"The model's context must be at least 1 token; got {context}.")
        self.shape, self.context = made, context
        self.tokens = nn.utils.skip_init(nn.Embedding, SIZE, made.width)
        self.positions = nn.utils.skip_init(nn.Embedding, context, made.width)
        self.blocks = nn.ModuleList(Block(made) for _ in range(made.depth))
        self.norm = nn.LayerNorm(made.width)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, T) to (B, T, d). Raises `InvalidValue` beyond the context, or for several tokens on a filled cache."""
        start = cache.length if cache is not None else 0
        end = start + tokens.shape[1]
        if end > self.context:
            raise InvalidValue(f"The model's context is {self.context} tokens; prompt and response take {end}.")
        if start and tokens.shape[1] > 1:
            raise InvalidValue(f"A model that has a start in its cache takes 1 token at a time; got {tokens.shape[1]}.")
        x = self.tokens(tokens) + self.positions.weight[start:end]
        for layer, block in enumerate(self.blocks):
            x = block(x, cache, layer)
        if cache is not None:
            cache.length = end
        return self.norm(x)

    def cache(self, batch: int) -> Cache:
        """An empty cache for a batch of sequences."""
        s = self.shape
        room = (s.depth, batch, s.heads, self.context, s.width // s.heads)
        return Cache(self.norm.weight.new_empty(room), self.norm.weight.new_empty(room))


@torch.no_grad()
def draw(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all layers inside from the generator: linear ones as torch does; biases start as zero.

    Embeddings have a deviation of 0.1: with 1 a short training finds no sums, with 0.02 no letters backwards.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Embedding):
            layer.weight.normal_(0, 0.1, generator=generator)
        elif isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.zero_()


class Decoder(nn.Module):
    """A language model of preset `size` over the laboratory's vocabulary.

    Without a generator the weights are undefined until a state dict is loaded.
    """

    def __init__(self, size: str = "s", *, context: int = CONTEXT, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.trunk = Trunk(size, context)
        self.head = nn.utils.skip_init(nn.Linear, self.trunk.shape.width, SIZE)
        if generator is not None:
            draw(self, generator)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Tokens (B, T) to logits (B, T, vocabulary) of the token after each.

        With a cache (`decoder.trunk.cache(B)`) the tokens go on from those it holds: the prompt first, then one a call.
        Raises `InvalidValue` for more tokens than the context.
        """
        return self.head(self.trunk(tokens, cache))


class Critic(nn.Module):
    """A value for each position, made of the same trunk and a scalar head, which starts as zero."""

    def __init__(self, size: str = "s", *, context: int = CONTEXT, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.trunk = Trunk(size, context)
        self.head = nn.utils.skip_init(nn.Linear, self.trunk.shape.width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if generator is not None:
            draw(self.trunk, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, T) to values (B, T); the one at t has seen tokens up to and including t."""
        return self.head(self.trunk(tokens)).squeeze(-1)
