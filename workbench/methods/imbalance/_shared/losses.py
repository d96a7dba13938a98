"""Losses for classes of unequal size, as functions of logits (B, C), targets (B,) and what the class counts give.

Each agrees with the code of Chen et al. (ICML 2025, github.com/JiahaoChen1/Pre-train-Imbalance) where that has it. All
of them are a `torch.nn.functional.cross_entropy` with a weight a class or a shift a class, so they cost what it costs.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue

#: What the authors' logit adjustment (and the second half of LADE) adds to a share before its logarithm.
TINY = 1e-9
_APART = 60.0  # exp(-60) is far inside the range of float32


def focal(logits: Tensor, target: Tensor, *, gamma: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """(1 - p)^gamma (-w ln p), p of the right class, mean over the batch (Lin et al. 2017, eq. 5).

    As in the LDAM repository, p comes from the weighted term, so with `weight` (C,) it is p^w.
    """
    each = F.cross_entropy(logits, target, weight=weight, reduction="none")
    return ((1 - torch.exp(-each)) ** gamma * each).mean()


def class_balanced_weights(counts: Tensor, *, beta: float | Tensor = 0.9999) -> Tensor:
    """(C,) weights (1 - beta) / (1 - beta^n), scaled to a mean of 1 (Cui et al. 2019, eq. 10).

    `beta` may be a number a class. Raises `InvalidValue` outside 0 <= beta < 1, and for an empty class.
    """
    counts = _counted(counts)
    rate = torch.as_tensor(beta, dtype=counts.dtype, device=counts.device)
    if bool((rate < 0).any()) or bool((rate >= 1).any()):
        raise InvalidValue(f"beta must lie in 0 <= beta < 1; got {beta}.")
    weights = (1 - rate) / (1 - rate**counts)
    return weights * len(counts) / weights.sum()


def reweighting(counts: Tensor, *, power: float = 1.0) -> Tensor:
    """(C,) weights n^-power, scaled to a mean of 1: 0 leaves the loss alone, 1 is inverse frequency."""
    counts = _counted(counts)
    weights = counts**-power
    return weights * len(counts) / weights.sum()


def weighted(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy with a weight a class (C,), divided by the weights of the batch (as torch does)."""
    return F.cross_entropy(logits, target, weight=weight)


def log_prior(counts: Tensor, *, floor: float = 0.0) -> Tensor:
    """(C,) ln(share + floor) from counts or shares. Raises `InvalidValue` for an empty class."""
    counts = _counted(counts)
    return torch.log(counts / counts.sum() + floor)


def logit_adjusted(logits: Tensor, target: Tensor, shift: Tensor, *, tau: float = 1.0) -> Tensor:
    """Cross-entropy of z + tau ln pi (Menon et al. 2021, eq. 10); tau = 1 is balanced softmax (Ren et al. 2020).

    `shift` (C,) is `log_prior` of the training counts.
    """
    return F.cross_entropy(logits + tau * shift, target)


def ldam_margins(counts: Tensor, *, largest: float = 0.5) -> Tensor:
    """(C,) margins n^-1/4, scaled so that the rarest class has `largest` (Cao et al. 2019, eq. 12)."""
    margins = _counted(counts) ** -0.25
    return margins * largest / margins.max()


def ldam(
    logits: Tensor, target: Tensor, margins: Tensor, *, scale: float = 30.0, weight: Tensor | None = None
) -> Tensor:
    """Cross-entropy after the right class's logit lost its margin, times `scale` (Cao et al. 2019, eq. 13)."""
    lost = (scale * margins[target]).to(logits.dtype)[:, None]
    return F.cross_entropy((scale * logits).scatter_add_(1, target[:, None], -lost), target, weight=weight)


def lade(logits: Tensor, target: Tensor, shift: Tensor, *, strength: float = 0.1, regularizer: float = 0.1) -> Tensor:
    """Balanced softmax, and logits pulled to what they would be under even classes (Hong et al. 2021, eq. 9).

    `shift` (C,) is `log_prior` of the training counts. A class that is absent from the batch has a first term of 0.
    """
    batch, classes = logits.shape
    rows, columns = _sums(logits, shift)
    own = logits.gather(1, target[:, None])[:, 0]
    adjusted = (rows - own - shift[target]).mean()
    first = logits.new_zeros(classes).index_add(0, target, own) / (target.bincount(minlength=classes) + 1e-8)
    even = math.log(1 / classes + TINY) - torch.log(shift.exp() + TINY)
    second = columns + even - math.log(batch)
    bound = first - second - regularizer * second**2
    return adjusted - strength * (bound * shift.exp()).sum()


def _sums(logits: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """ln sum over classes of exp(z + shift) (B,), and ln sum over the batch of exp(z) (C,).

    One exponential serves both on a CPU, unless the logits lie so far apart that it would leave the floats' range.
    """
    low, top = torch.aminmax(logits.detach())
    if logits.device.type != "cpu" or float(top - low) > _APART:
        return torch.logsumexp(logits + shift, 1), torch.logsumexp(logits, 0)
    exponential = torch.exp(logits - top)
    return torch.log(exponential @ shift.exp()) + top, torch.log(exponential.sum(0)) + top


def _counted(counts: Tensor) -> Tensor:
    if counts.ndim != 1 or not bool((counts > 0).all()):
        bad = int(torch.as_tensor(counts).flatten().le(0).nonzero()[0]) if counts.numel() else -1
        raise InvalidValue(
            f"Class counts must be one number above 0 a class; class {bad} has none. Leave the class out, or give it "
            "an example."
        )
    return counts if counts.is_floating_point() else counts.double()
