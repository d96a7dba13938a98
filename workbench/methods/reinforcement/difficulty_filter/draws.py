"""Drawing prompts, with G responses each, until enough of them lie inside the band."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from workbench.methods.reinforcement._shared.loop import Batch, Loop
from workbench.methods.reinforcement._shared.sampling import Rollout, distributions, rollout
from workbench.methods.reinforcement._shared.tasks import Prompts
from workbench.methods.reinforcement.difficulty_filter.filter import Band, Floats, pass_rates


@dataclass(frozen=True)
class Answered:
    """Responses to prompts, G neighbouring rows a prompt, and their rewards (rows,)."""

    prompts: Prompts
    rollout: Rollout
    rewards: Floats

    def take(self, rows: NDArray[np.int64]) -> Answered:
        """These rows."""
        return Answered(self.prompts.take(rows), self.rollout.take(torch.from_numpy(rows)), self.rewards[rows])


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


def answer(loop: Loop, prompts: Prompts, *, max_new: int, temperature: float, generator: torch.Generator) -> Answered:
    """A response to each row of prompts, verified."""
    taken = rollout(
        loop.policy, torch.from_numpy(prompts.tokens), max_new=max_new, temperature=temperature, generator=generator
    )
    return Answered(prompts, taken, loop.verify(prompts, taken.responses.numpy()))


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
        np.concatenate([p.rewards for p in parts]),
    )  # fmt: skip


def together(parts: Sequence[Prompts]) -> Prompts:
    """The prompts of all parts, which must be equally long."""
    return Prompts(
        np.concatenate([p.tokens for p in parts]), tuple(a for p in parts for a in p.answers),
        np.concatenate([p.kinds for p in parts]), np.concatenate([p.sizes for p in parts]),
    )  # fmt: skip


@torch.no_grad()
def judged(loop: Loop, answered: Answered, temperature: float, seconds: float) -> Batch:
    """The batch with what policy and reference say of it; only of what is kept, since each of them reads it whole."""
    taken = answered.rollout
    short = taken.trim()
    missing = taken.responses.shape[1] - short.responses.shape[1]

    def whole(columns: Tensor) -> Tensor:
        return F.pad(columns * short.mask, (0, missing))

    mine, theirs = (distributions(m, short, temperature) for m in (loop.policy, loop.reference))
    share, at = mine.exp(), short.responses.unsqueeze(-1)
    return Batch(
        answered.prompts, taken, answered.rewards,
        logp=whole(mine.gather(-1, at).squeeze(-1)), ref_logp=whole(theirs.gather(-1, at).squeeze(-1)),
        entropy=whole(-(share * mine).sum(-1)), kl=whole((share * (mine - theirs)).sum(-1)), seconds=seconds,
    )  # fmt: skip


class Clock:
    """Seconds since it was made, of the wall."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def read(self) -> float:
        """So far."""
        return time.perf_counter() - self.began
