"""Semixup's losses as functions of logits: labelled mixup, and four distances in and out of the data manifold.

Agrees with `semixup/losses.py` of github.com/Oulu-IMEDS/semixup (golden vectors; Nguyen et al. 2020, eqs. 3 to 8).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue

DISTANCES = ("mse", "kl")
_NONE = torch.zeros(())


@dataclass(frozen=True)
class Terms:
    """The weighted terms of an unlabelled batch, each a number; one that a method does not have is 0.

    `cons` d(p(aug x1), p(x1)); `mixup` d(p(x_m), p of the mixed logits); `cons_mixup` d(p(x1), p(x_m));
    `cons_aug_mixup` d(p(x_m), p(aug x1)).
    """

    cons: Tensor = _NONE
    mixup: Tensor = _NONE
    cons_mixup: Tensor = _NONE
    cons_aug_mixup: Tensor = _NONE

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.cons + self.mixup + self.cons_mixup + self.cons_aug_mixup


def distance(logits: Tensor, target: Tensor, kind: str = "mse") -> Tensor:
    """Distance of the softmax of two sets of logits (B, C), mean over the batch and the classes (so divided by C).

    mse: of squared differences. kl: of q (ln q - ln p), q the target's softmax.
    Raises `InvalidValue` for unequal shapes or another kind.
    """
    if logits.shape != target.shape or logits.ndim != 2:
        raise InvalidValue(
            f"A distance needs two sets of logits of one shape (B, C); got {tuple(logits.shape)} and "
            f"{tuple(target.shape)}."
        )
    if kind == "mse":
        return F.mse_loss(logits.softmax(1), target.softmax(1))
    if kind == "kl":
        summed = F.kl_div(logits.log_softmax(1), target.log_softmax(1), log_target=True, reduction="batchmean")
        return summed / logits.shape[1]
    raise InvalidValue(f"distance is one of {', '.join(DISTANCES)}; got '{kind}'.")


def semixup(
    mixed_picture: Tensor, mixed_logits: Tensor, augmented: Tensor, plain: Tensor, *, coef_cons: float = 2.0,
    coef_mixup: float = 2.0, coef_cons_mixup: float = 4.0, kind: str = "mse", stop_gradient: bool = False,
) -> Terms:  # fmt: skip
    """The four terms, times their coefficients.

    Args:
        mixed_picture: net(l x1 + (1 - l) x2), logits (B, C), as all of them.
        mixed_logits: l net(x1) + (1 - l) net(x2).
        augmented: net(aug x1).
        plain: net(x1).
        stop_gradient: no gradient flows into the side that is less disturbed (plain, mixed_logits, augmented); off, as
            released: into both.

    Raises `InvalidValue` as `distance` does.
    """
    still, interpolated, shaken = (z.detach() if stop_gradient else z for z in (plain, mixed_logits, augmented))
    pair = (mixed_picture, still) if stop_gradient else (still, mixed_picture)  # of kl the second is the target
    return Terms(
        coef_cons * distance(augmented, still, kind),
        coef_mixup * distance(mixed_picture, interpolated, kind),
        coef_cons_mixup * distance(*pair, kind),
        coef_cons_mixup * distance(mixed_picture, shaken, kind),
    )


def labelled_mixup(logits: Tensor, first: Tensor, second: Tensor, weight: float) -> Tensor:
    """l CE(y1) + (1 - l) CE(y2) of logits (B, C) of mixed pictures, and both targets (B,).

    Raises `InvalidValue` for l outside 0.5 … 1 and for unequal shapes.
    """
    checked(weight)
    if first.shape != second.shape or first.shape != logits.shape[:1]:
        raise InvalidValue(
            f"Mixup needs two targets for each of the {len(logits)} rows of logits; got {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    return weight * F.cross_entropy(logits, first) + (1 - weight) * F.cross_entropy(logits, second)


def mixed(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """l first + (1 - l) second, of pictures or logits. Raises `InvalidValue` for l outside 0.5 … 1, unequal shapes."""
    checked(weight)
    if first.shape != second.shape:
        raise InvalidValue(f"What is mixed must have one shape; got {tuple(first.shape)} and {tuple(second.shape)}.")
    return weight * first + (1 - weight) * second


def partners(batch: Tensor) -> Tensor:
    """The same batch (B, …) reversed: what each row is mixed with. Raises `InvalidValue` for fewer than two rows."""
    if len(batch) < 2:
        raise InvalidValue(f"Mixup needs a batch of at least 2, or a picture is mixed with itself; got {len(batch)}.")
    return batch.flip(0)


def folded(draw: float, floor: float = 0.5) -> float:
    """A draw in [0, 1] (of a Beta distribution) as a mixing weight: max(draw, 1 - draw), at least `floor`."""
    return max(draw, 1 - draw, checked(floor))


def checked(weight: float) -> float:
    """The weight of the dominant parent. Raises `InvalidValue` outside 0.5 … 1."""
    if not 0.5 <= weight <= 1:
        raise InvalidValue(f"The mixing weight of the dominant picture lies between 0.5 and 1; got {weight:g}.")
    return weight
