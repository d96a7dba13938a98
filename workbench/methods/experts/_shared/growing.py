"""From dense networks to larger ones and to mixtures of experts: initial weights from weights that have learned.

All of it copies, slices or averages matrices, without gradient; what keeps a function is exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workbench.cards.errors import InvalidValue
from workbench.models.moe_gpt import Block, Experts, MoEGPT, Routing, TopK

DEPTH_RULES = ("stack", "interpolate", "zero_residual")
WIDTH_RULES = ("fpi", "aki", "random")
POINTWISE = ("gelu", "silu", "relu")  # activations that let hidden units be parted

# -- parting and copying a feed-forward network -----------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """Experts made of one network, stacked: `up`, `linear` (E, H/k, d), `down` (E, d, H/k), biases (E, H/k), (E, d)."""

    up: Tensor
    down: Tensor
    linear: Tensor | None = None
    up_bias: Tensor | None = None
    down_bias: Tensor | None = None


def decompose(
    up: Tensor, down: Tensor, k: int, copies: int, *, linear: Tensor | None = None, up_bias: Tensor | None = None,
    down_bias: Tensor | None = None, activation: str = "gelu",
) -> Parts:  # fmt: skip
    """Cut a network's hidden units into k slices and take each `copies` times; expert c·k + s is slice s of copy c.

    The k slices of a copy add up to the network: down φ(up x + b) + b' with φ unit by unit (a gated one's `linear` is
    cut alike). Dynamic-DINO's granularity decomposition (2025), reconstructed.

    Args:
        up, linear: (H, d); `down`: (d, H); `up_bias`: (H,); `down_bias`: (d,), a k-th of which goes to each slice.

    Raises:
        InvalidValue: k does not divide H; an activation that couples hidden units.
    """
    hidden = up.shape[0]
    if k < 1 or hidden % k:
        raise InvalidValue(f"granularity must divide the {hidden} hidden units of the feed-forward network; got {k}.")
    if activation not in POINTWISE:
        raise InvalidValue(
            f"A network is cut only where its activation acts unit by unit ({', '.join(POINTWISE)}); got {activation}."
        )

    def rows(matrix: Tensor) -> Tensor:
        return torch.cat([matrix.unflatten(0, (k, hidden // k))] * copies)

    return Parts(
        rows(up), rows(down.T).transpose(1, 2).contiguous(),
        None if linear is None else rows(linear), None if up_bias is None else rows(up_bias),
        None if down_bias is None else (down_bias / k).expand(k * copies, -1),
    )  # fmt: skip


@torch.no_grad()
def fill_experts(experts: Experts, dense: Experts, k: int = 1) -> None:
    """Fill E experts with E/k copies of a dense network's k slices; k = 1: sparse upcycling, whole copies."""
    linear = None if dense.linear is None else dense.linear[0]
    parts = decompose(dense.up[0], dense.down[0], k, experts.number // k, linear=linear)
    experts.up.copy_(parts.up)
    experts.down.copy_(parts.down)
    if experts.linear is not None and parts.linear is not None:
        experts.linear.copy_(parts.linear)


@torch.no_grad()
def disturb(experts: Experts, share: float, generator: torch.Generator) -> None:
    """Add to every weight normal noise of `share` times its matrix's standard deviation: equal experts part."""
    for weight in experts.parameters() if share else ():
        weight.add_(share * weight.std() * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))


def grouped_rows(centroids: Tensor, k: int) -> Tensor:
    """Router rows (N·k, d) of N centroids (N, d): all k slices of a copy share one row, and so are chosen together."""
    return centroids.repeat_interleave(k, dim=0)


class Summed(TopK):
    """Top-K whose renormalised weights add up to `total` in place of 1, so that k slices add up to their network."""

    def __init__(
        self, width: int, experts: int, top_k: int, *, total: float, std: float = 0.02, renormalise: bool = True
    ) -> None:
        super().__init__(width, experts, top_k, std=std, renormalise=renormalise)
        self.total = total

    def forward(self, x: Tensor) -> Routing:
        """Route tokens (T, d)."""
        routing = super().forward(x)
        routing.weight = routing.weight * self.total
        return routing


# -- growing in width -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """How one side of a matrix grows: unit i of the new one stands for unit `source[i]` of the old one.

    Attributes:
        source: (new,) int64; every old unit appears.
        fresh: (new,) bool, those that were added.
    """

    source: Tensor
    fresh: Tensor

    @property
    def share(self) -> Tensor:
        """One over the number of units that stand for the same old one, (new,) float64."""
        return 1 / torch.bincount(self.source).double()[self.source]

    def within(self, size: int, blocks: int = 1) -> Axis:
        """The axis of a matrix with `size` rows a unit (a head's), `blocks` times over (queries, keys, values)."""
        inner = (self.source[:, None] * size + torch.arange(size)).flatten()
        old = (int(self.source.max()) + 1) * size
        rows = torch.cat([inner + b * old for b in range(blocks)])
        return Axis(rows, self.fresh.repeat_interleave(size).repeat(blocks))


def axis(old: int, new: int, generator: torch.Generator | None = None) -> Axis:
    """Whole copies of all old units, the first of them in place; what is left over is drawn without repetition.

    Raises:
        InvalidValue: fewer new units than old ones.
    """
    if new < old:
        raise InvalidValue(f"A network grows: the new size must be at least the old one, {old}; got {new}.")
    rest = torch.randperm(old, generator=generator)[: new % old]
    return Axis(torch.cat([torch.arange(old).repeat(new // old), rest]), torch.arange(new) >= old)


def same(size: int) -> Axis:
    """A side that does not grow."""
    return Axis(torch.arange(size), torch.zeros(size, dtype=torch.bool))


def fpi(weight: Tensor, out: Axis, into: Axis) -> Tensor:
    """Function-preserving growth, U_ij = W_{g(i) h(j)} / count(h(j)): outputs are copied, inputs share a weight.

    bert2BERT (Chen et al. 2021), after Net2Net. Exact for linear maps and activations unit by unit.
    """
    return weight[out.source][:, into.source] * into.share.to(weight)


def aki(weight: Tensor, following: Tensor, out: Axis, into: Axis) -> Tensor:
    """The same, but added outputs come from the next layer's matrix: not exact, and no two units alike (bert2BERT)."""
    return torch.where(out.fresh[:, None], fpi(following, out, into), fpi(weight, out, into))


def padded(weight: Tensor, initial: Tensor, out: Axis, into: Axis) -> Tensor:
    """The old matrix in the corner of a new one whose other entries stay as initialised."""
    return torch.where(out.fresh[:, None] | into.fresh, initial, weight[out.source][:, into.source])


def depth_map(old: int, new: int, rule: str) -> list[int]:
    """Which old layer each new one comes from: ``stack`` 0 1 0 1; ``interpolate`` and ``zero_residual`` 0 0 1 1.

    Raises:
        InvalidValue: the new depth is no multiple of the old one.
    """
    if new % old:
        raise InvalidValue(f"The grown network's layers must be a multiple of the first one's {old}; got {new}.")
    return [layer % old if rule == "stack" else layer * old // new for layer in range(new)]


@dataclass(frozen=True)
class Growth:
    """How a network becomes a larger one: `width`, `hidden`, `heads`: their axes; `layers`: see `depth_map`."""

    width: Axis
    hidden: Axis
    heads: Axis
    layers: list[int]
    width_rule: str
    depth_rule: str


@torch.no_grad()
def grow(small: MoEGPT, grown: MoEGPT, how: Growth) -> None:
    """Fill `grown`, as initialised, from a dense `small` one whose heads have the same size.

    With ``fpi``, ``zero_residual`` and equal multiplicities the function is kept. Where multiplicities differ, RMSNorm
    sees another mean square, and it is not. The tied embedding is copied; the last norm's weight divides instead.
    """
    plain = how.width_rule == "random"
    for name in ("embedding", "position"):
        old, new = getattr(small, name).weight, getattr(grown, name).weight
        columns = old[:, how.width.source]
        new.copy_(torch.where(how.width.fresh, new, columns) if plain else columns)
    last = small.last_norm.weight[how.width.source]
    grown.last_norm.weight.copy_(last if plain else last * how.width.share.to(last))
    for at, source in enumerate(how.layers):
        block, old_block = grown.blocks[at], small.blocks[source]
        following = small.blocks[source + 1] if source + 1 < len(small.blocks) else None
        _grow_block(block, old_block, following, how)  # type: ignore[arg-type]
        if how.depth_rule == "zero_residual" and source in how.layers[:at]:
            block.attention.out.weight.zero_()  # type: ignore[union-attr, operator]
            block.moe.experts.down.zero_()  # type: ignore[union-attr, operator]


def _grow_block(new: Block, old: Block, following: Block | None, how: Growth) -> None:
    size = old.before_attention.weight.shape[0] // (int(how.heads.source.max()) + 1)
    inner = how.heads.within(size)
    sides = {
        "qkv": (how.heads.within(size, 3), how.width), "out": (how.width, inner), "up": (how.hidden, how.width),
        "down": (how.width, how.hidden),
    }  # fmt: skip
    after = matrices(following) if following is not None and how.width_rule == "aki" else {}
    before, filled = matrices(old), matrices(new)
    for name, (out, into) in sides.items():
        if how.width_rule == "random":
            grown = padded(before[name], filled[name], out, into)
        elif name in after:
            grown = aki(before[name], after[name], out, into)
        else:
            grown = fpi(before[name], out, into)
        filled[name].copy_(grown)
    for norm in ("before_attention", "before_experts"):
        if isinstance(getattr(old, norm), nn.RMSNorm):
            getattr(new, norm).weight.copy_(getattr(old, norm).weight[how.width.source])


def matrices(block: Block) -> dict[str, Tensor]:
    """The four matrices of a dense block: `qkv`, `out`, `up` (H, d) and `down` (d, H)."""
    attention, experts = block.attention, block.moe.experts
    return {
        "qkv": attention.qkv.weight, "out": attention.out.weight,  # type: ignore[union-attr, dict-item]
        "up": experts.up[0], "down": experts.down[0],
    }  # fmt: skip


# -- copying, averaging, comparing ------------------------------------------------------------------------------------


@torch.no_grad()
def carry_over(dense: MoEGPT, mixture: MoEGPT, *, attention: bool = True) -> None:
    """Copy everything but feed-forward networks and routers (and, if not `attention`, attention) to another model."""
    left_out = (".moe.",) if attention else (".moe.", ".attention.")
    taken = {n: t for n, t in dense.state_dict().items() if not any(part in n for part in left_out)}
    mixture.load_state_dict(taken, strict=False)


@torch.no_grad()
def average(models: Sequence[nn.Module], into: nn.Module) -> None:
    """Fill `into` with the mean of the models' weights.

    Raises:
        InvalidValue: fewer than two models, or of different shapes.
    """
    states = [m.state_dict() for m in models]
    shapes = [{n: tuple(t.shape) for n, t in s.items()} for s in states]
    if len(models) < 2 or any(s != shapes[0] for s in shapes):
        raise InvalidValue(f"At least two specialists of one shape are needed to mix them; got {len(models)}.")
    into.load_state_dict({n: torch.stack([s[n] for s in states]).mean(0) for n in states[0]})


def cosines(weights: Tensor) -> Tensor:
    """Between N tensors stacked along the first side, (N, N)."""
    flat = nn.functional.normalize(weights.flatten(1), dim=1)
    return flat @ flat.T


def mean_pair(square: Tensor) -> Tensor:
    """Mean off the diagonal of (…, N, N) with N ≥ 2."""
    n = square.shape[-1]
    return (square.sum((-2, -1)) - square.diagonal(dim1=-2, dim2=-1).sum(-1)) / (n * (n - 1))
