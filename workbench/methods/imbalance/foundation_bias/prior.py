"""What a model prefers before it has seen the data: its label prior, checked and estimated (GLA, Zhu et al. 2023).

The estimate is a reconstruction from the published idea; the released code of the paper has none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue

STEPS, RATE = 200, 0.1


def checked(prior: Tensor) -> Tensor:
    """The prior (C,) itself. Raises `InvalidValue` for an entry that is not above 0, or a sum that is not 1 ± 1e-6."""
    if prior.ndim != 1 or not prior.numel():
        raise InvalidValue(f"A prior is one share above 0 a class; got the shape {tuple(prior.shape)}.")
    for label, share in enumerate(prior.tolist()):
        if not share > 0:
            raise InvalidValue(
                f"A prior is one share above 0 a class; class {label} has {share:g}, which has no logarithm. Give "
                "every class at least a small share."
            )
    if abs((total := float(prior.double().sum())) - 1) > 1e-6:
        raise InvalidValue(f"The shares of a prior must sum to 1 within 1e-6; they sum to {total:.8g}. Divide by that.")
    return prior


def estimate(logits: Tensor, target: Tensor) -> Tensor:
    """The prior q (C,) whose logarithm, taken from the logits, leaves the least loss on a class-balanced set.

    q = argmin over the simplex of CE(z - ln q, y), by Adam on the logits of q, from even shares, 200 steps.

    Args:
        logits: (N, C) zero-shot, that is of the pretrained model as it is.
        target: (N,) labels, of which every class has as many; raises `InvalidValue` otherwise.
    """
    numbers = torch.bincount(target, minlength=logits.shape[1])
    if not bool((numbers == numbers[0]).all()):
        raise InvalidValue(
            "The prior is estimated on as many examples of every class; there are between "
            f"{int(numbers.min())} and {int(numbers.max())}. Draw a class-balanced set."
        )
    fixed = logits.detach()
    q = torch.zeros(logits.shape[1], dtype=fixed.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([q], RATE)
    for _ in range(STEPS):
        loss = F.cross_entropy(fixed - torch.log_softmax(q, 0), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.softmax(q.detach(), 0)
