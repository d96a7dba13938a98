"""Rollouts from the likeliest tokens alone, as the recipe samples them."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.methods.reinforcement._shared.loop import Batch, Loop
from workbench.methods.reinforcement._shared.sampling import distributions, rollout
from workbench.methods.reinforcement._shared.tasks import Prompts


class CutLoop(Loop):
    """A loop whose responses are sampled without the tail of each distribution."""

    @torch.no_grad()
    def sample(
        self, prompts: Prompts, *, max_new: int, temperature: float, generator: torch.Generator, top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> Batch:  # fmt: skip
        """As `Loop.sample`; `top_p` and `min_p` as in `sampling.rollout`.

        Log-probabilities are of the whole distributions, as trl's are: the tail is cut in sampling alone.
        """
        began = time.perf_counter()
        taken = rollout(
            self.policy, torch.from_numpy(prompts.tokens), max_new=max_new, temperature=temperature,
            generator=generator, top_p=top_p, min_p=min_p,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        rewards = self.verify(prompts, taken.responses.numpy())
        short = taken.trim()

        def whole(columns: Tensor) -> Tensor:
            return F.pad(columns * short.mask, (0, max_new - columns.shape[1]))

        mine, theirs = (distributions(m, short, temperature) for m in (self.policy, self.reference))
        share, at = mine.exp(), short.responses.unsqueeze(-1)
        return Batch(
            prompts, taken, rewards,
            logp=whole(mine.gather(-1, at).squeeze(-1)), ref_logp=whole(theirs.gather(-1, at).squeeze(-1)),
            entropy=whole(-(share * mine).sum(-1)), kl=whole((share * (mine - theirs)).sum(-1)), seconds=seconds,
        )  # fmt: skip
