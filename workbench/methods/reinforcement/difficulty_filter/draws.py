"""Drawing prompts, with G responses each, until enough of them lie inside the band."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workbench.methods.reinforcement._shared.loop import Answered
from workbench.methods.reinforcement._shared.sampling import Rollout
from workbench.methods.reinforcement._shared.tasks import Prompts
from workbench.methods.reinforcement.difficulty_filter.filter import Band, Floats, pass_rates


@dataclass(frozen=True)
class Gathered:
    """A batch and what it took.

    Attributes:
        batch: the prompts that were kept, in the order in which they were drawn; None if there are none.
        rates: (N,) pass rates of all that were drawn.
        kept: (k,) pass rates of the batch.
    """

    batch: Answered | None
    rates: Floats
    kept: Floats


def gather(draw: Callable[[int], Answered], band: Band, *, wanted: int, rounds: int, group: int) -> Gathered:
    """The first `wanted` prompts inside the band, from at most `rounds` calls of `draw`, which is told their number.

    Fewer, or none, where the cap comes first. Prompts that are thrown away, or drawn beyond `wanted`, may be drawn
    again: nobody remembers them.
    """
    kept: list[Answered] = []
    rates: list[Floats] = []
    inside: list[Floats] = []
    for number in range(rounds):
        drawn = draw(number)
        found = pass_rates(drawn.rewards.reshape(-1, group))
        chosen = np.flatnonzero(band.holds(found))[: wanted - sum(map(len, inside))]
        rates.append(found)
        if len(chosen):
            inside.append(found[chosen])
            kept.append(drawn.take((chosen[:, None] * group + np.arange(group)).ravel()))
        if sum(map(len, inside)) == wanted:
            break
    return Gathered(joined(kept) if kept else None, np.concatenate(rates), np.concatenate([*inside, np.zeros(0)]))


def joined(parts: Sequence[Answered]) -> Answered:
    """Rows of all parts, one part after another."""
    rollouts = [p.rollout for p in parts]
    return Answered(
        together([p.prompts for p in parts]),
        Rollout(
            torch.cat([r.tokens for r in rollouts]), torch.cat([r.responses for r in rollouts]),
            torch.cat([r.mask for r in rollouts]), torch.cat([r.truncated for r in rollouts]),
            torch.cat([r.lengths for r in rollouts]), rollouts[0].forbidden,
        ),
        np.concatenate([p.rewards for p in parts]), sum(p.seconds for p in parts),
    )  # fmt: skip


def together(parts: Sequence[Prompts]) -> Prompts:
    """The prompts of all parts, which must be equally long."""
    return Prompts(
        np.concatenate([p.tokens for p in parts]), tuple(a for p in parts for a in p.answers),
        np.concatenate([p.kinds for p in parts]), np.concatenate([p.sizes for p in parts]),
    )  # fmt: skip


class Clock:
    """Seconds since it was made, of the wall."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def read(self) -> float:
        """So far."""
        return time.perf_counter() - self.began
