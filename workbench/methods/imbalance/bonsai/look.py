"""What is seen of the network: accuracy in three colourings, what its answers follow, its first layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workbench.methods.imbalance.bonsai.colours import Coloured

FILTERS, GAP = 8, 1


def right(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) bool: the answer (logit above 0: 1) is the label; 0 is wrong for 1, as in the authors' code."""
    return (logits > 0) == (y > 0.5)


def accuracy(logits: Tensor, y: Tensor) -> float:
    """Per cent right."""
    return 100 * float(right(logits, y).double().mean())


def follows(logits: Tensor, seen: Coloured) -> tuple[float, float]:
    """How far answers follow colour and shape: 100 always, 0 not at all, negative the opposite.

    To be asked where colour and label are independent (e = 0.5): there the two are told apart.
    """
    return 2 * accuracy(logits, seen.colour) - 100, 2 * accuracy(logits, seen.shape) - 100


def filters(weight: Tensor, importance: Tensor) -> NDArray[np.float64]:
    """First-layer filters (8, 29, 14) as grey levels in [0, 1]; 0.5 is a weight of 0.

    Above what is applied to pictures of colour 0, below to those of colour 1; each divided by its own largest weight.
    Args: weight (hidden, 392); importance (hidden,), by which the first 8 are chosen.
    """
    chosen = importance.argsort(descending=True, stable=True)[:FILTERS]
    each = weight[chosen].reshape(-1, 2, 14, 14).double()
    each = 0.5 + each / (2 * each.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12))
    above, below = each.numpy().transpose(1, 0, 2, 3)
    return np.concatenate([above, np.ones((len(each), GAP, 14)), below], axis=1)
