"""Two encoders under late fusion, and what one batch gives."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.methods.multimodal._shared.encoders import encoder
from workbench.methods.multimodal._shared.fusion import FUSIONS, Fusion

MODALITIES = ("a", "v")


@dataclass
class Outputs:
    """What the network says of a batch with labels `y` (B,).

    `features` (B, d) of a and v as they enter the fusion; `logits` (B, C) fused; `readouts` (B, C) of a and v.
    """

    features: tuple[Tensor, Tensor]
    logits: Tensor
    readouts: tuple[Tensor, Tensor]
    y: Tensor

    @cached_property
    def losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cross-entropies of the fused logits and of both read-outs, nats."""
        fused, a, v = (F.cross_entropy(z, self.y) for z in (self.logits, *self.readouts))
        return fused, a, v


class TwoModalities(nn.Module):
    """Inputs `a` (B, …) and `v` (B, …) to logits (B, classes)."""

    def __init__(
        self, shapes: tuple[tuple[int, ...], tuple[int, ...]], classes: int, *, width: int, fusion: str
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({m: encoder(s, width) for m, s in zip(MODALITIES, shapes, strict=True)})
        self.fusion: Fusion = FUSIONS[fusion](width, classes)

    def features(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(B, d) each."""
        return self.encoders["a"](a), self.encoders["v"](v)

    def forward(self, a: Tensor, v: Tensor) -> Tensor:
        """Fused logits (B, C)."""
        return self.fusion(*self.features(a, v))

    def outputs(self, features: tuple[Tensor, Tensor], y: Tensor) -> Outputs:
        """The fused logits and both read-outs."""
        return Outputs(features, self.fusion(*features), self.fusion.readouts(*features), y)

    def parameters_of(self, modality: str) -> list[nn.Parameter]:
        """Of one encoder."""
        return list(self.encoders[modality].parameters())


class Alone(nn.Module):
    """The same first encoders, a linear head each: what a modality reaches with no other beside it."""

    def __init__(self, network: TwoModalities, width: int, classes: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict()
        for m in MODALITIES:
            self.encoders[m] = nn.Sequential(copy.deepcopy(network.encoders[m]), nn.Linear(width, classes))

    def forward(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of each."""
        return self.encoders["a"](a), self.encoders["v"](v)


def check_batch(a: Tensor, v: Tensor, y: Tensor) -> None:
    """Refuse a training batch of one, and one whose modalities differ in number."""
    if not len(a) == len(v) == len(y):
        raise InvalidValue(
            f"Both modalities and the labels of a batch must have the same number of samples; got {len(a)}, {len(v)} "
            f"and {len(y)}."
        )
    if len(y) < 2:
        raise InvalidValue("A training batch needs at least 2 samples; got 1. Raise batch_size.")


def flat_gradient(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """The gradient of a loss by an encoder's parameters as one vector; zeros where it does not depend on one."""
    found: tuple[Tensor | None, ...] = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])
