"""The loop of reinforcement/bai: one step is a batch of responses and what is learned from it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.cards.protocols import SessionProtocol
from workbench.methods.reinforcement._shared import advantages, merge, stages
from workbench.methods.reinforcement._shared.loop import Batch, Loop, Moved, parts
from workbench.methods.reinforcement._shared.model import Critic, Decoder
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement.bai.knobs import BAI
from workbench.models.optim import make_optimizer
from workbench.signals import emit

Weights = Mapping[str, Tensor]
LONGEST = 40  # response to a fixed prompt, tokens
CORNERS = ("instruct", "distilled", "base")  # of the map of merges
STEPS = 4  # of an edge of the map
GRID = tuple((i / STEPS, j / STEPS, (STEPS - i - j) / STEPS) for i in range(STEPS + 1) for j in range(STEPS + 1 - i))


class Course:
    """How reward and length went since the start, smoothed; register it.

    `reward` and `length` are those of the policy at step 0 on the fixed prompts, None before they are known.
    """

    WINDOW = 5

    def __init__(self) -> None:
        self.reward: float | None = None
        self.length: float | None = None
        self.recent: dict[str, list[float]] = {"reward": [], "length": []}
        self.lowest = {"reward": float("inf"), "length": float("inf")}

    def take(self, **values: float) -> None:
        """One more step's reward, and its length of responses where a sum was asked for, if any was."""
        for name, value in values.items():
            self.recent[name] = [*self.recent[name], value][-self.WINDOW :]
            if len(self.recent[name]) == self.WINDOW:
                self.lowest[name] = min(self.lowest[name], self.mean(name))

    def mean(self, name: str) -> float:
        """Of the last few steps."""
        return sum(self.recent[name]) / len(self.recent[name])

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        recent = {name: list(values) for name, values in self.recent.items()}
        return {"reward": self.reward, "length": self.length, "recent": recent, "lowest": dict(self.lowest)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.reward, self.length = state["reward"], state["length"]
        self.recent = {name: list(values) for name, values in state["recent"].items()}
        self.lowest = dict(state["lowest"])


class Experiment:
    """Everything that trains."""

    def __init__(self, config: BAI, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.task = task("chain")
        self.base_seed = config.base_seed or max(1, session.seed)
        self.ratios = self._ratios()
        weights = self._weights()
        policy, reference = Decoder(config.size), Decoder(config.size)
        policy.load_state_dict(weights)
        reference.load_state_dict(weights)
        critic = self._critic() if config.regime == "L" else None
        self.loop = Loop(policy, reference, self.task, critic)
        self.optimizer = make_optimizer(config.optimizer, policy.parameters())
        registered: dict[str, Any] = {"model": policy, "optimizer": self.optimizer}
        if critic is not None:
            self.critic_optimizer = make_optimizer(config.optimizer.critic, critic.parameters())  # type: ignore[attr-defined]
            registered |= {"critic": critic, "optimizer_critic": self.critic_optimizer}
        self.course = Course()
        session.register(**registered, course=self.course)
        session.probe("evaluation", self.evaluate)
        session.probe("merge_map", self.map_merges)
        asked = self.task.sample(session.rng("eval", "prompts"), config.evaluation, reasoning=0.5)
        self.asked: Prompts = asked

    # -- where it starts ----------------------------------------------------------------------------------------------

    def _ratios(self) -> tuple[float, float]:
        c = self.config
        if not c.random_ratios:
            return c.a, c.b
        drawn = self.session.rng("init", "ratios").random(2)
        return float(drawn[0]), float(drawn[1])

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each corner's model in the policy at step 0; of a merge by another rule than linear, as its ratios say."""
        if self.config.init != "merge":
            return tuple(float(self.config.init == name) for name in CORNERS)
        a, b = self.ratios
        return (1 - a) * b, a * b, 1 - b

    def _weights(self) -> Weights:
        """Of the policy at step 0; a function of the launch settings and the seed."""
        c = self.config
        if c.init != "merge":
            return self._stage(c.init)
        base, instruct, distilled = (self._stage(name) for name in ("base", "instruct", "distilled"))
        self.linearity, self.garbage = merge.linearly_connected(base, instruct, distilled)
        a, b = self.ratios
        generator = self.session.torch_rng("init", "merge")
        return merge.balanced(base, instruct, distilled, a=a, b=b, rule=c.rule, density=c.density, generator=generator)

    def _stage(self, name: str) -> Weights:
        return stages.policy(name, self.base_seed, size=self.config.size, say=print)

    def _critic(self) -> Critic:
        c = self.config
        critic = Critic(c.size)
        if c.critic_init == "reward_model":
            critic.load_state_dict(stages.reward_model(self.base_seed, size=c.size, say=print))
        else:
            base = Decoder(c.size)
            base.load_state_dict(self._stage("base"))
            critic.trunk.load_state_dict(base.trunk.state_dict())
        return critic

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """Sample, verify, learn."""
        c = self.config
        if step == 0:
            self._begin()
        batch = self.loop.sample(
            self._prompts(step), max_new=c.max_new, temperature=c.temperature,
            generator=self.session.torch_rng("method", "rollout", step),
        )  # fmt: skip
        rewards = torch.from_numpy(batch.rewards).float()
        if c.length_penalty:
            rewards = rewards - c.length_penalty * batch.mask.sum(1)
        advantage, moved = (self._ppo if c.regime == "L" else self._grpo)(step, batch, rewards)
        self._show(batch, advantage, moved)
        if step == c.steps - 1:
            with self.session.isolated():
                self.evaluate()

    def _begin(self) -> None:
        with self.session.isolated():
            self.evaluate()
        emit("merge_weights", self.shares)
        if self.config.init == "merge":
            emit("merge_a", self.ratios[0])
            emit("merge_b", self.ratios[1])
            emit("linearity", self.linearity)
            if self.garbage is not None:
                warnings.warn(self.garbage, stacklevel=2)

    def _prompts(self, step: int) -> Prompts:
        """A new draw each step; in groups of equal prompts where responses are compared with each other."""
        c = self.config
        rng = self.session.rng("data", "prompts", step)
        if c.regime == "L":
            return self.task.sample(rng, c.batch_size, reasoning=c.reasoning)
        return self.task.sample(rng, c.batch_size // c.group_size, reasoning=c.reasoning).repeat(c.group_size)

    def _parts(self, step: int, what: str) -> Iterator[Tensor]:
        c = self.config
        return parts(c.batch_size, c.epochs, c.minibatches, self.session.torch_rng("method", what, step))

    def _ppo(self, step: int, batch: Batch, rewards: Tensor) -> tuple[Tensor, Moved]:
        c = self.config
        assert batch.values is not None
        given = advantages.token_rewards(rewards, batch.logp, batch.ref_logp, batch.mask, beta=c.kl_reward)
        advantage, returns = advantages.gae(given, batch.values, batch.mask, gamma=c.gamma, lam=c.lam)
        true = returns[batch.mask]
        emit("value_mse", ((batch.values - returns)[batch.mask] ** 2).mean())
        emit("return_var", true.var(unbiased=False))
        advantage = advantages.whiten(advantage, batch.mask, c.whiten)
        moved = Moved()
        if step >= c.critic_warmup:
            moved = self._improve(step, batch, advantage, loss="bnpo")
        self.loop.teach_critic(batch, returns, self.critic_optimizer, self._parts(step, "critic"), c.grad_clip)
        return advantage, moved

    def _grpo(self, step: int, batch: Batch, rewards: Tensor) -> tuple[Tensor, Moved]:
        c = self.config
        each = advantages.group_advantages(rewards, c.group_size, scale=c.scale_rewards)
        emit("group_zero_std", advantages.zero_std_share(rewards, c.group_size))
        advantage = each[:, None] * batch.mask
        high = c.clip_high + (c.loss == "cispo")  # whose bound is the ratio itself
        return advantage, self._improve(
            step, batch, advantage, loss=c.loss, clip_high=high, kl_weight=c.kl_loss, kl_estimator=c.kl_estimator,
            constant=c.max_new, tokens=int(batch.mask.sum()) // c.minibatches,
        )  # fmt: skip

    def _improve(self, step: int, batch: Batch, advantage: Tensor, **rule: Any) -> Moved:
        c = self.config
        rule = {"clip_low": c.clip, "clip_high": c.clip_high, **rule}
        return self.loop.improve(
            batch, advantage, self.optimizer, self._parts(step, "policy"), temperature=c.temperature,
            grad_clip=c.grad_clip, **rule,
        )  # fmt: skip

    # -- looking ------------------------------------------------------------------------------------------------------

    def _show(self, batch: Batch, advantage: Tensor, moved: Moved) -> None:
        self.loop.show(batch, advantage, moved, kinds=True)
        sampled, course = batch.rollout.responses.numpy(), self.course
        reasoning = batch.prompts.kinds == 0
        course.take(reward=float(batch.rewards.mean()))
        emit("reward_smooth", course.mean("reward"))
        assert course.reward is not None
        assert course.length is not None
        emit("start_reward", course.reward)
        emit("start_length", course.length)
        if course.lowest["reward"] < float("inf"):
            emit("dip", course.reward - course.lowest["reward"])
            emit("lowest_reward", course.lowest["reward"])
        if reasoning.any():
            course.take(length=float(batch.rollout.lengths.numpy()[reasoning].mean()))
            if course.lowest["length"] < float("inf"):
                emit("length_left", course.lowest["length"] / course.length)
            emit("passes", self.task.passes(sampled)[reasoning].mean())
            emit("accuracy_pass1", self.task.first_pass_right(batch.prompts, sampled)[reasoning].mean())

    def evaluate(self) -> None:
        """Reward and length of the policy on the fixed prompts; the session calls it isolated."""
        found = self._score(self.loop)
        if self.course.reward is None:
            self.course.reward, self.course.length = found["reward"], found["length"]
        for name, value in found.items():
            emit(f"eval_{name}", value)

    def map_merges(self) -> None:
        """The same reward of merges all over the triangle of the three models; the session calls it isolated."""
        models = [self._stage(name) for name in CORNERS]
        merged = Decoder(self.config.size)
        loop, rows = Loop(merged, merged, self.task), []
        for weights in GRID:
            merged.load_state_dict(merge.merge(models, weights=weights))
            rows.append((*weights, self._score(loop)["reward"]))
        emit("merge_map", np.array(rows))

    def _score(self, loop: Loop) -> dict[str, float]:
        """Reward as rollouts are mixed, shares of right sums and strings, and length of sums; by fixed draws."""
        answered = loop.answer(
            self.asked, max_new=LONGEST, temperature=1.0, generator=self.session.torch_rng("eval", "rollout", 0)
        )
        right, reasoning, share = answered.rewards, self.asked.kinds == 0, self.config.reasoning
        sums, strings = float(right[reasoning].mean()), float(right[~reasoning].mean())
        length = float(answered.rollout.lengths.numpy()[reasoning].mean())
        reward = share * sums + (1 - share) * strings
        return {"reward": reward, "reasoning": sums, "chat": strings, "length": length}


def train(config: BAI, session: SessionProtocol) -> None:
    """Train for the run's steps."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
