"""The loop of reinforcement/difficulty_filter: draw, filter, one step of GRPO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from workbench.cards.protocols import SessionProtocol
from workbench.methods.reinforcement._shared import advantages, stages
from workbench.methods.reinforcement._shared.loop import Answered, Batch, Loop, Moved, parts
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement.difficulty_filter.draws import Clock, Gathered, gather, together
from workbench.methods.reinforcement.difficulty_filter.filter import (
    EVERYTHING,
    Band,
    best_rate,
    pass_rates,
    quadratic,
    reach,
)
from workbench.methods.reinforcement.difficulty_filter.knobs import DifficultyFilter
from workbench.methods.reinforcement.difficulty_filter.shown import BINS, DIGITS, GRID
from workbench.models.optim import make_optimizer
from workbench.signals import emit, histogram

CONTEXT, MAX_NEW = 30, 20  # 8 digits: a prompt of 10 tokens, a response of 19
PROBED, TRUTH = 24, 64  # prompts, and responses each, that tell true pass rates

SINGLE = stages.Recipe(
    "single", steps=1000, batch=48, lr=3e-3, warmup=20, decay=0.1, mix=(("R", "short", 1.0),), ends=1.0,
    context=CONTEXT, sizes=(1, DIGITS), slots=DIGITS,
)  # fmt: skip


class Spent:
    """What the run has cost so far, looks aside; register it.

    `rollouts` counts responses, thrown away or not; `seconds` are the wall's.
    """

    def __init__(self) -> None:
        self.rollouts = 0
        self.seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        vars(self).update(state)


class Experiment:
    """Everything that trains."""

    def __init__(self, config: DifficultyFilter, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        recipe = replace(SINGLE, steps=config.pretraining)
        weights = stages.weights(recipe, config.base_seed or max(1, session.seed), say=print)
        policy, reference = Decoder(context=CONTEXT), Decoder(context=CONTEXT)
        policy.load_state_dict(weights)
        reference.load_state_dict(weights)
        self.task = task("chain")
        self.loop = Loop(policy, reference, self.task)
        self.optimizer = make_optimizer(config.optimizer, policy.parameters())
        self.spent = Spent()
        session.register(model=policy, optimizer=self.optimizer, spent=self.spent)
        session.probe("evaluation", self.evaluate)
        session.probe("truth", self.compare_with_truth)
        rng = session.rng("eval", "prompts")
        self.asked = together([self._sums(rng, config.evaluation, (n, n)) for n in range(1, DIGITS + 1)])

    def step(self, step: int) -> None:
        """Draw, filter, learn."""
        clock = Clock()
        gathered = self._gather(step)
        batch = moved = advantage = None
        if gathered.batch is not None:  # else nothing is learned, which `filled` says
            batch = self.loop.judge(gathered.batch, self.config.temperature)
            advantage, moved = self._learn(step, batch)
        self.spent.rollouts += len(gathered.rates) * self.config.group_size
        self.spent.seconds += clock.read()
        self._show_filter(gathered)
        if batch is not None and advantage is not None and moved is not None:
            self.loop.show(batch, advantage, moved, marks=("A",))
        if step == self.config.steps - 1:
            with self.session.isolated():
                self.evaluate()

    # -- drawing ------------------------------------------------------------------------------------------------------

    @property
    def band(self) -> Band:
        """As the controls stand; everything lies inside without a filter."""
        c = self.config
        return Band(c.t_low, c.t_high) if c.filter else EVERYTHING

    def _gather(self, step: int) -> Gathered:
        """The step's prompts with their responses."""
        c = self.config

        def draw(number: int) -> Answered:
            prompts = self._prompts(step, number).repeat(c.group_size)
            return self._answer(prompts, self.session.torch_rng("method", "rollout", step, number))

        return gather(draw, self.band, wanted=c.prompts, rounds=c.max_draws, group=c.group_size)

    def _prompts(self, step: int, number: int) -> Prompts:
        c = self.config
        sizes = (1, DIGITS)
        if c.order == "easy_first":
            level = min(DIGITS, 1 + step * DIGITS // c.steps)
            sizes = (level, level)
        return self._sums(self.session.rng("data", "prompts", step, number), c.prompts, sizes)

    def _sums(self, rng: np.random.Generator, n: int, sizes: tuple[int, int] = (1, DIGITS)) -> Prompts:
        return self.task.sample(rng, n, reasoning=1.0, sizes=sizes, slots=DIGITS)

    def _answer(self, prompts: Prompts, generator: torch.Generator) -> Answered:
        return self.loop.answer(prompts, max_new=MAX_NEW, temperature=self.config.temperature, generator=generator)

    # -- learning -----------------------------------------------------------------------------------------------------

    def _learn(self, step: int, batch: Batch) -> tuple[torch.Tensor, Moved]:
        c = self.config
        rewards = torch.from_numpy(batch.rewards).float()
        each = advantages.group_advantages(rewards, c.group_size, scale=c.scale_rewards)
        # A response weighs the same whatever was kept, as if prompts that teach nothing had filled the batch.
        each = each * (len(each) / (c.prompts * c.group_size))
        advantage = each[:, None] * batch.mask
        starved = advantages.zero_std_share(rewards, c.group_size)
        emit("group_zero_std", starved)
        emit("effective_batch", (1 - starved) * len(rewards) / (c.prompts * c.group_size))
        order = parts(len(rewards), c.epochs, c.minibatches, self.session.torch_rng("method", "policy", step))
        moved = self.loop.improve(
            batch, advantage, self.optimizer, order, temperature=c.temperature, grad_clip=c.grad_clip,
            kl_weight=c.kl_loss, clip_low=c.clip, clip_high=c.clip,
        )  # fmt: skip
        return advantage, moved

    # -- looking ------------------------------------------------------------------------------------------------------

    def _show_filter(self, gathered: Gathered) -> None:
        c, rates, kept = self.config, gathered.rates, gathered.kept
        band = self.band
        emit("t_low_now", band.low)
        emit("t_high_now", band.high)
        emit("pass_rate", rates.mean())
        emit("pass_rate_hist", histogram(rates, *BINS))
        emit("inside", band.holds(rates).mean())
        emit("spread_drawn", (rates * (1 - rates)).mean())
        emit("filled", len(kept) / c.prompts)
        emit("rollouts", self.spent.rollouts)
        emit("seconds", self.spent.seconds)
        emit("reach_curve", reach(np.array(GRID), c.beta) / reach(best_rate(c.beta), c.beta))
        emit("quadratic_curve", quadratic(np.array(GRID), c.beta) / reach(best_rate(c.beta), c.beta))
        emit("drawn_share", histogram(rates, *BINS) / len(rates))
        emit("kept_share", histogram(kept, *BINS) / max(1, len(kept)))
        if len(kept):
            emit("pass_rate_kept", kept.mean())
            emit("spread_kept", (kept * (1 - kept)).mean())
            emit("rollouts_per_kept", len(rates) * c.group_size / len(kept))
            emit("reach_kept", reach(kept, c.beta).mean())

    @torch.no_grad()
    def evaluate(self) -> None:
        """Share of right sums on fixed prompts by number of digits, by fixed draws; the session calls it isolated."""
        answered = self.loop.answer(self.asked, max_new=MAX_NEW, temperature=1.0,
                          generator=self.session.torch_rng("eval", "rollout", 0))  # fmt: skip
        by_size = answered.rewards.reshape(DIGITS, -1).mean(1)
        emit("accuracy", by_size.mean())
        emit("accuracy_by_size", by_size)
        emit("accuracy_rollouts", self.spent.rollouts)
        emit("accuracy_seconds", self.spent.seconds)

    @torch.no_grad()
    def compare_with_truth(self) -> None:
        """How far pass rates from G responses are from those of 64 others; the session calls it isolated."""
        c, step = self.config, self.session.step
        prompts = self._sums(self.session.rng("eval", "truth", step), PROBED)
        generator = self.session.torch_rng("eval", "truth", step)
        guessed, true = (
            pass_rates(self._answer(prompts.repeat(n), generator).rewards.reshape(-1, n)) for n in (c.group_size, TRUTH)
        )
        emit("rate_error", np.abs(guessed - true).mean())
        band = self.band
        if (chosen := band.holds(guessed)).any():
            emit("true_inside", band.holds(true[chosen]).mean())


def train(config: DifficultyFilter, session: SessionProtocol) -> None:
    """Train for the run's steps."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
