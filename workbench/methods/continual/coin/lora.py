"""Low-rank adapters on the linear layers of a frozen model: W x + (alpha/r) B A x. Needs torch alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue


class LoRALinear(nn.Module):
    """A frozen linear layer with trainable A (r, in), random, and B (out, r), zero: at the start it changes nothing."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        if rank < 1:
            raise InvalidValue(f"The rank of an adapter must be at least 1; got {rank}.")
        self.base, self.rank, self.alpha = base.requires_grad_(False), rank, alpha
        self.A = nn.Parameter(base.weight.new_zeros(rank, base.in_features))
        self.B = nn.Parameter(base.weight.new_zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        return self.base(x) + self.alpha / self.rank * F.linear(F.linear(x, self.A), self.B)

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """A uniform as PEFT draws it (bound 1/sqrt(in)), B zero."""
        bound = 1 / math.sqrt(self.A.shape[1])
        self.A.uniform_(-bound, bound, generator=generator)
        self.B.zero_()


def apply_lora(model: nn.Module, rank: int, alpha: float) -> nn.Module:
    """Freeze `model` and put an adapter on every linear layer in it, in place.

    Raises `InvalidValue` if it has none.
    """
    found = [(parent, name, child) for parent in model.modules() for name, child in parent.named_children()
             if isinstance(child, nn.Linear)]  # fmt: skip
    if not found:
        raise InvalidValue("The model has no nn.Linear layer, so there is nothing to put an adapter on.")
    model.requires_grad_(False)
    for parent, name, child in found:
        setattr(parent, name, LoRALinear(child, rank, alpha))
    return model


def layers(model: nn.Module) -> list[LoRALinear]:
    """The layers with adapters, in the model's order."""
    return [m for m in model.modules() if isinstance(m, LoRALinear)]


def adapter(model: nn.Module) -> dict[str, nn.Parameter]:
    """The adapters' tensors by name: ``1.A``, ``1.B``, ``2.A``, …, counted from the input on."""
    return {f"{i}.{n}": getattr(m, n) for i, m in enumerate(layers(model), 1) for n in ("A", "B")}


@contextmanager
def using(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the model's adapters have these values (names that are missing keep theirs); then all is as before."""
    own = adapter(model)
    before = {name: own[name].detach().clone() for name in tensors}
    put(model, tensors)
    try:
        yield
    finally:
        put(model, before)


@torch.no_grad()
def put(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy these values into the model's adapters. Raises `InvalidValue` for an adapter of another shape or rank."""
    own = adapter(model)
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise InvalidValue(
                f"The adapter {name} to be reused is {tuple(tensor.shape)}, the model's {tuple(own[name].shape)}: an "
                "adapter can only be reused with the rank it was trained with."
            )
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


class Bank:
    """Adapters that were trained, one a group; register it."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Tensor]] = []

    def keep(self, group: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep copies of these for `group` (at most one beyond the last)."""
        copies = {name: t.detach().clone() for name, t in tensors.items()}
        self.kept[group : group + 1] = [copies]

    def state_dict(self) -> dict[str, Any]:
        """All of them."""
        return {"kept": self.kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.kept = [{n: t.clone() for n, t in tensors.items()} for tensors in state["kept"]]
