"""The backdoor adjustment: P(y | do(x)) = sum over c of P(y | x, c) P(c), the confounder c being a model's view.

As released (Chen et al. 2025, `backdoor_adjustment` of test.py) it is the sum of the models' logits: P(c) is even,
and logits are mixed, not probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue


def adjust(logits: Tensor, weights: Tensor | None = None, *, mix: str = "logits", crops: int = 1) -> Tensor:
    """Scores (N, C) from logits (K, N * crops, C), whose rows hold the crops of a picture next to each other.

    Args:
        weights: (K,) P(c), or None: 1 each, as released.
        mix: logits, or probabilities.
        crops: looks at a picture, whose scores are averaged.

    Raises `InvalidValue` for crops that are below 1 or do not divide the rows, or weights of another number.
    """
    models, rows, classes = logits.shape
    if crops < 1 or rows % crops:
        raise InvalidValue(f"crops must be 1 or more and divide the {rows} rows of logits; got {crops}.")
    if weights is not None and weights.shape != (models,):
        raise InvalidValue(f"There must be a weight for each of the {models} models; got {tuple(weights.shape)}.")
    if mix not in ("logits", "probabilities"):
        raise InvalidValue(f"What is mixed is logits or probabilities; got '{mix}'.")
    each = torch.softmax(logits, -1) if mix == "probabilities" else logits
    mixed = each.sum(0) if weights is None else torch.einsum("k,knc->nc", weights, each)
    return mixed.view(-1, crops, classes).mean(1)


def same_classes(models: Sequence[Sequence[str]]) -> None:
    """Raise `InvalidValue` unless all the models list the same classes in the same order: their logits are added."""
    first = list(models[0])
    for k, own in enumerate(models):
        if list(own) != first:
            what = next((f"{a} and {b}" for a, b in zip(own, first, strict=False) if a != b), f"{len(own)} classes and "
                        f"{len(first)}")  # fmt: skip
            raise InvalidValue(
                f"Models {k} and 0 do not list the same classes in the same order ({what}); bring their outputs into "
                "one order before they are mixed."
            )
