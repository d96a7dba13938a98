"""The loop of reinforcement/amft: a step is a batch of traces and one of rollouts, weighed by mu."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from workbench.cards.protocols import SessionProtocol
from workbench.methods.reinforcement._shared import advantages, losses, stages
from workbench.methods.reinforcement._shared.loop import Batch, Loop, Moved
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.sampling import distributions, logprobs
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement._shared.traces import imitation, rows, written
from workbench.methods.reinforcement.amft.controller import (
    Controller,
    cosine,
    entropy_gap,
    look_ahead,
    mixture,
)
from workbench.methods.reinforcement.amft.knobs import Amft
from workbench.methods.reinforcement.amft.prompts import INSIDE, OUTSIDE, SLOTS, check_apart, draw
from workbench.models.optim import make_optimizer
from workbench.signals import emit

ANSWERS = 4  # to each prompt for validation
LOOKS = 5  # steps between two evaluations
SLIP = 0.1  # how often a step of the teacher's traces is wrong
# Sums of 3 to 7 operands, though what is trained here stops at 5: longer ones are known and can be forgotten.
PRETRAINED = stages.BASE.everywhere(
    sizes=(INSIDE[0], OUTSIDE[1]), slots=SLOTS, mix=(("R", "direct", 0.15), ("R", "short", 0.85)),
)  # fmt: skip


class Lowest:
    """The lowest loss on held-out traces so far; register it."""

    def __init__(self) -> None:
        self.value: float | None = None

    def take(self, value: float) -> None:
        """One more loss."""
        self.value = value if self.value is None else min(self.value, value)

    def rise(self, value: float) -> float:
        """How far `value` lies above the lowest, this one included, as a share of that."""
        return value / min(value, self.value or value) - 1

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.value = state["value"]


class Experiment:
    """Everything that trains; all that moves is registered, so that a run goes on bit for bit."""

    def __init__(self, config: Amft, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        recipe = PRETRAINED.everywhere(size=config.size, steps=config.pretraining)
        weights = stages.weights(recipe, config.base_seed or max(1, session.seed), say=print)
        self.policy, self.reference = Decoder(config.size), Decoder(config.size)
        self.policy.load_state_dict(weights)
        self.reference.load_state_dict(weights)
        self.parameters = list(self.policy.parameters())
        self.loop = Loop(self.policy, self.reference, task("chain"))
        self.optimizer = make_optimizer(config.optimizer, self.parameters)
        self.controller, self.lowest = Controller(config.mu), Lowest()
        session.register(
            model=self.policy, reference=self.reference, optimizer=self.optimizer, controller=self.controller,
            lowest=self.lowest,
        )  # fmt: skip
        session.probe("evaluation", lambda: self.evaluate(keep=False))
        asked, traces = session.rng("eval", "prompts"), session.rng("data", "traces")
        self.asked = {sizes: draw(asked, config.evaluation, held=True, sizes=sizes) for sizes in (INSIDE, OUTSIDE)}
        taught = draw(traces, config.traces, held=False)
        check_apart(taught, self.asked[INSIDE])
        self.start = taught.tokens.shape[1]
        self.traces = written(traces, taught, "short", slips=(SLIP,))
        self.unseen = written(asked, draw(asked, config.evaluation, held=True), "short", slips=(SLIP,))

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """A batch of traces and one of rollouts, a few updates from both, then what the controller makes of it."""
        c, session = self.config, self.session
        if step % LOOKS == 0:
            with session.isolated():
                self.evaluate()
        prompts = draw(session.rng("data", "prompts", step), c.batch_size // c.group_size, held=False)
        batch = self.loop.sample(
            prompts.repeat(c.group_size), max_new=c.max_new, temperature=c.temperature,
            generator=session.torch_rng("method", "rollout", step),
        )  # fmt: skip
        score = torch.from_numpy(batch.rewards).float()
        advantage = advantages.group_advantages(score, c.group_size)[:, None] * batch.mask
        taught = self.traces[rows(session, step, c.traces, c.sft_batch)]
        mu = self.weight(step)
        drives = self._steer(step, mu, batch, advantage, taught)
        self.loop.show(batch, advantage, self._update(mu, batch, advantage, taught))
        emit("group_zero_std", advantages.zero_std_share(score, c.group_size))
        emit("mixing_weight", mu)
        for name, value in drives.items():
            emit(name, value)
        if step == c.steps - 1:
            with session.isolated():
                self.evaluate()

    def weight(self, step: int) -> float:
        """mu of this step. Without a controller it also is what a controller would go on from."""
        c = self.config
        if step < c.warmup:
            return 1.0
        if c.controller == "off":
            if c.schedule == "switch":
                self.controller.mu = float(step < c.switch)
            elif c.schedule == "linear":
                self.controller.mu = c.mu * (1 - (step - c.warmup) / max(1, c.steps - 1 - c.warmup))
            else:
                self.controller.mu = c.mu
        return self.controller.mu

    def _update(self, mu: float, batch: Batch, advantage: Tensor, taught: Tensor) -> Moved:
        """As many updates as `passes` says, each from both whole batches."""
        c, moved = self.config, Moved()
        for _ in range(c.passes):
            found = self._reinforced(batch, advantage)
            imitated = self._imitated(taught)
            rl, sft = self._gradient(found.loss), self._gradient(imitated)
            mixed = mixture(rl, sft, mu)
            norm = mixed.norm()
            self._assign(mixed * (c.grad_clip / (norm + 1e-6)).clamp(max=1.0))
            self.optimizer.step()
            moved.take(policy_loss=found.loss.detach(), sft_loss=imitated.detach(), grad_norm=norm, rl_norm=rl.norm(),
                       sft_norm=sft.norm(), clipped_low=found.clip_low, clipped_high=found.clip_high,
                       ratio_max=found.ratio_max)  # fmt: skip
            alike = cosine(rl, sft)
            if alike is not None:
                moved.take(gradient_cosine=alike)
        return moved

    def _reinforced(self, batch: Batch, advantage: Tensor) -> losses.Objective:
        """GRPO's loss of the whole batch."""
        c, taken = self.config, batch.rollout.trim()
        columns = slice(taken.responses.shape[1])
        logp = distributions(self.policy, taken, c.temperature).gather(-1, taken.responses.unsqueeze(-1)).squeeze(-1)
        return losses.policy(
            logp * taken.mask, batch.logp[:, columns], advantage[:, columns], taken.mask, clip_low=c.clip,
            clip_high=c.clip,
        )  # fmt: skip

    def _imitated(self, taught: Tensor) -> Tensor:
        """Next-token loss on the responses of traces (n, P+T), nats a token."""
        return imitation(self.policy, taught, self.start)

    def _gradient(self, loss: Tensor) -> Tensor:
        """(P,): of all parameters in a row."""
        return parameters_to_vector(torch.autograd.grad(loss, self.parameters))

    def _assign(self, gradient: Tensor) -> None:
        """Give every parameter its part of a gradient (P,)."""
        parts = gradient.split([p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    # -- steering -----------------------------------------------------------------------------------------------------

    def _steer(self, step: int, mu: float, batch: Batch, advantage: Tensor, taught: Tensor) -> dict[str, float]:
        """Move mu for the next step, every few steps; what moved it, by signal."""
        c = self.config
        drives = {"meta_drive": 0.0, "entropy_drive": 0.0}
        if c.controller == "off" or step < c.warmup or step % c.every:
            return drives
        if c.controller in ("entropy", "both"):
            entropy = float(batch.entropy.sum() / batch.mask.sum())
            drives["entropy_drive"] = c.alpha_entropy * entropy_gap(entropy, c.target_entropy)
        if c.controller in ("meta", "both"):
            found = self._meta_gradient(step, mu, batch, advantage, taught)
            if found is not None:
                drives["meta_gradient"] = found
                drives["meta_drive"] = c.alpha_meta * self.controller.normalised()
        self.controller.move(drives["meta_drive"], drives["entropy_drive"], c.mu_min, c.mu_max)
        return drives

    def _meta_gradient(self, step: int, mu: float, batch: Batch, advantage: Tensor, taught: Tensor) -> float | None:
        """dU/dmu through one look-ahead step; None where a group comparison says nothing, which is told once."""
        c = self.config
        rl, sft = self._gradient(self._reinforced(batch, advantage).loss), self._gradient(self._imitated(taught))
        utility = None
        if bool(advantage.any()):
            theta = parameters_to_vector(self.parameters).detach().clone()
            vector_to_parameters(look_ahead(theta, rl, sft, mu, c.eta), self.parameters)
            utility = self._utility_gradient(step)
            vector_to_parameters(theta, self.parameters)
        if utility is None:
            self.controller.skipped += 1
            if self.controller.skipped == 1:
                warnings.warn(
                    f"At step {step} all responses of each group got the same reward: there is no gradient to steer mu "
                    "by, and the controller's meta-step is skipped, here and wherever it happens again.",
                    stacklevel=2,
                )
            return None
        return self.controller.take(utility, rl, sft, c.eta)

    def _utility_gradient(self, step: int) -> Tensor | None:
        """(P,): REINFORCE's estimate for mean reward on newly drawn held-out prompts; None if no group differs."""
        c, session = self.config, self.session
        prompts = draw(session.rng("method", "validation", step), c.validation, held=True).repeat(ANSWERS)
        answered = self.loop.answer(
            prompts, max_new=c.max_new, temperature=c.temperature,
            generator=session.torch_rng("method", "validation", step),
        )  # fmt: skip
        worth = advantages.group_advantages(torch.from_numpy(answered.rewards).float(), ANSWERS, scale="none")
        if not bool(worth.any()):
            return None
        logp, _ = logprobs(self.policy, answered.rollout.trim(), c.temperature)
        # A group's mean has its own response in it, which makes the estimate too small by (n - 1) / n.
        return self._gradient((worth * logp.sum(1)).mean() * ANSWERS / (ANSWERS - 1))

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, *, keep: bool = True) -> None:
        """Accuracy on fixed prompts, short and long, by fixed draws, and the loss on held-out traces; isolated.

        An extra look must not change what later ones are compared with: it doesn't `keep` its loss.
        """
        for name, sizes in (("eval_accuracy", INSIDE), ("eval_accuracy_ood", OUTSIDE)):
            emit(name, self._answers(self.asked[sizes]))
        loss = float(self._imitated(self.unseen))
        if keep:
            self.lowest.take(loss)
        emit("sft_nll", loss)
        emit("nll_rise", self.lowest.rise(loss))

    def _answers(self, prompts: Prompts) -> float:
        """Share of right answers at temperature 1."""
        generator = self.session.torch_rng("eval", "rollout", 0)
        answered = self.loop.answer(prompts, max_new=self.config.max_new, temperature=1.0, generator=generator)
        return float(answered.rewards.mean())


def train(config: Amft, session: SessionProtocol) -> None:
    """Train through all steps."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
