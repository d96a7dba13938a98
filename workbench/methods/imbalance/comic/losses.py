"""Losses of multi-label classification as one: cross-entropy with class weights, a probability shift and focusing.

As in the COMIC authors' `loss/Multi-GrainedFocalLoss.py`, `PriorFocalModifierLoss.py` and `HeadTailBalancerLoss.py`.
Logits x and labels y are (B, C); a loss is a sum over both, as theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue

EPS = 1e-8
LIFT = 1.2  # of q, where labels occur together


def check_labels(labels: Tensor) -> None:
    """Raise `InvalidValue` for anything but 0 and 1."""
    if not bool(((labels == 0) | (labels == 1)).all()):
        odd = labels[(labels != 0) & (labels != 1)].flatten()[0]
        raise InvalidValue(f"A label is 0 or 1; got {float(odd):g}. An unknown label is recorded as 0 here.")


def check_positives(labels: Tensor, names: Sequence[str] = ()) -> None:
    """Raise `InvalidValue` for a class without a positive among the labels (N, C)."""
    empty = (labels.sum(0) == 0).nonzero().flatten().tolist()
    if empty:
        which = ", ".join(names[c] if names else f"class {c}" for c in empty)
        raise InvalidValue(
            f"No example is labelled {which}: what has no positive cannot be learned. Take more examples "
            "(train_examples), or leave the class out."
        )


def class_weights(counts: Tensor, power: float) -> Tensor:
    """(C,) weights (1 - ln p)^power, p = counts over the largest: 1 for the most frequent class, more for rare ones.

    1/6 in the multi-focal file, 1/3 in the prior-focal one. Raises `InvalidValue` for a class with no positive.
    """
    check_positives(counts[None])
    share = counts.double() / counts.max()
    return (1 - share.log()) ** power


def focal(
    x: Tensor, y: Tensor, *, weight: Tensor | float = 1.0, gamma_neg: Tensor | float = 0.0, gamma_pos: float = 0.0,
    clip: float = 0.0, attention: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The loss of each label, (B, C): -w (y ln p + (1-y) ln q) (1 - p_t)^gamma.

    p = sigmoid(x); q = min(1, 1 - p + clip), so that a negative below `clip` costs nothing; p_t = p or q; gamma =
    `gamma_pos` or `gamma_neg`. The focusing factor has no gradient. With weights w = `class_weights` and gamma_neg
    + w for gamma_neg it is COMIC's multi-focal modifier; with w = 1, the asymmetric loss (Ridnik et al. 2021); with
    nothing, binary cross-entropy. `attention` (B, C), the prior-focal version, takes its share off p, and multiplies q
    by 1.2 where it is not 0.
    """
    p = torch.sigmoid(x)
    q = 1 - p
    if clip > 0:
        q = (q + clip).clamp(max=1)
    if attention is not None:
        p = p * (1 - attention)
        q = torch.where(attention == 0, q, q * LIFT).clamp(max=1)
    loss = -(y * torch.log(p.clamp(min=EPS)) + (1 - y) * torch.log(q.clamp(min=EPS))) * weight
    with torch.no_grad():
        gamma = gamma_pos * y + gamma_neg * (1 - y)
        factor = (1 - p * y - q * (1 - y)) ** gamma
    return loss * factor


def co_occurrence(labels: Tensor) -> Tensor:
    """(C, C): how often classes are recorded together, each column over its sum. Raises for a class without a label."""
    check_positives(labels)
    together = labels.T @ labels
    return together / together.sum(0)


def prior(labels: Tensor, together: Tensor) -> Tensor:
    """Co-occurrence attention (B, C): of each sample, the mean of the rows of its labels, made to sum to 1.

    A sample without a recorded label has none (zeros), where the authors' code gives NaN. Raises `InvalidValue` for a
    batch in which no sample has a label.
    """
    present = labels.sum(1, keepdim=True)
    if not bool(present.any()):
        raise InvalidValue(
            "No sample of the batch has a positive label, so that nothing occurs together; take a larger batch, or the "
            "multi-focal loss without the prior."
        )
    rows = labels @ together / present.clamp(min=1)
    return rows / torch.where(present > 0, rows.sum(1, keepdim=True), torch.ones_like(present))


def balancer(
    head: Tensor, tail: Tensor, balanced: Tensor, y: Tensor, loss: Callable[[Tensor, Tensor], Tensor], *,
    gamma: float = 2.0,
) -> Tensor:  # fmt: skip
    """The head-tail balancer: `loss` of softmax(head) * softmax(balanced) and of the tail's, weighted by loss^gamma.

    The products take the place of logits, as released. Head and tail teach: no gradient goes through their softmax.
    """
    of_head, of_tail = loss(head, y) ** gamma, loss(tail, y) ** gamma
    own = balanced.softmax(-1)
    by_head, by_tail = (loss(z.softmax(-1).detach() * own, y) for z in (head, tail))
    return (of_head * by_head + of_tail * by_tail) / (of_head + of_tail)
