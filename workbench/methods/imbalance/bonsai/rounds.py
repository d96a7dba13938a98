"""Discovery and synthesis: which pictures each round is right on, and the groups, labels and pool made of that.

Agrees with the authors' `run_exp.py --group_dirs` and `run_exp_syn.py`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue


def groups(correct: Tensor) -> list[Tensor]:
    """Masks (n,) of the pictures that each round is wrong and right on, of `correct` (rounds, n) bool.

    Raises `InvalidValue` if the first or a later round is right on everything: nothing is left to discover.
    """
    for k, right in enumerate(correct):
        if bool(right.all()):
            raise InvalidValue(
                f"Round {k} is right on all {len(right)} training pictures: nothing is left to discover. Take fewer "
                f"erm_steps or rounds, or a label_noise above 0."
            )
    return [mask for right in correct for mask in (~right, right) if bool(mask.any())]


def pseudo_labels(correct: Tensor, y: Tensor) -> Tensor:
    """What each round answers, (rounds, n): y (n,) in 0, 1 where it is right, 1 - y where it is wrong."""
    return torch.where(correct, y, 1 - y)


def agreement(correct: Tensor) -> Tensor:
    """(n,) bool: all rounds give the same answer."""
    return (correct == correct[0]).all(0)


def resampled(correct: Tensor, rng: np.random.Generator) -> Tensor:
    """Rows of the pool for synthesis: n // 2 with replacement where rounds agree, then n // 2 where they disagree.

    `correct` (rounds, n). Raises `InvalidValue` if there are none of one kind.
    """
    agree = agreement(correct).numpy()
    for kind, which in (("agree", agree), ("disagree", ~agree)):
        if not which.any():
            raise InvalidValue(
                f"The {len(correct)} rounds {kind} on none of the {len(agree)} training pictures, so that the pool "
                f"cannot be resampled by halves. Take rounds between 2 and 4, or resample=false."
            )
    halves = [rng.choice(np.flatnonzero(which), len(agree) // 2) for which in (agree, ~agree)]
    return torch.from_numpy(np.concatenate(halves))


def overlap(correct: Tensor) -> Tensor:
    """(rounds, rounds) per cent of the pictures that both of two rounds are right on; the diagonal: each alone."""
    right = correct.double()
    return 100 * right @ right.T / correct.shape[1]
