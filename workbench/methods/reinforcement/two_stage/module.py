"""The loop of reinforcement/two_stage: a step is a batch of traces, and from the border on a batch of rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from workbench.cards.protocols import SessionProtocol
from workbench.methods.reinforcement._shared import advantages, rewards, stages
from workbench.methods.reinforcement._shared.loop import Batch, Loop, parts
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.shown import LENGTHS
from workbench.methods.reinforcement._shared.tasks import Prompts, task
from workbench.methods.reinforcement._shared.traces import imitation, rows, written
from workbench.methods.reinforcement.two_stage.knobs import TwoStage
from workbench.models.optim import make_optimizer
from workbench.signals import emit, histogram

LONGEST = 40  # response to a fixed prompt, tokens
FLOOR = 0.1  # of SFT's rate, where its cosine ends
ANSWER = r"A \d $"  # one digit behind the last `A`, where the paper has a box before the end of thinking
END = "<eos>"
SFT_SKIP = 0.1  # share of the teacher's traces without verification, so that a short way is known


class Course:
    """Accuracy through the first stage, and where the second began; register it.

    Attributes:
        accuracies: batches trained → accuracy on the fixed prompts, through the first stage.
        accuracy, length: of the policy that the second stage starts from, None before they are known.
    """

    WINDOW = 5  # epochs

    def __init__(self) -> None:
        self.accuracies: dict[int, float] = {}
        self.accuracy: float | None = None
        self.length: float | None = None

    def slope(self, epoch: int) -> float | None:
        """Percentage points an epoch of `epoch` batches: least squares over the last 5, None with fewer than 2 values.

        The very start is left out as soon as there is something else: a first epoch teaches a style.
        """
        last = max(self.accuracies, default=0)
        steps = [s for s in sorted(self.accuracies) if s >= last - self.WINDOW * epoch]
        if len(steps) > 2 and steps[0] == 0:
            steps = steps[1:]
        if len(steps) < 2:
            return None
        x = np.array(steps) / epoch
        y = np.array([self.accuracies[s] for s in steps])
        x = x - x.mean()
        return float(100 * (x * y).sum() / (x * x).sum())

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"accuracies": list(self.accuracies.items()), "accuracy": self.accuracy, "length": self.length}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.accuracies = dict(state["accuracies"])
        self.accuracy, self.length = state["accuracy"], state["length"]


class Experiment:
    """Everything that trains; all that moves is registered, so that a run goes on bit for bit inside both stages."""

    def __init__(self, config: TwoStage, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.task = task("chain")
        seed = config.base_seed or max(1, session.seed)
        weights = stages.policy("base", seed, size=config.size, say=print)
        self.policy, self.reference = Decoder(config.size), Decoder(config.size)
        self.policy.load_state_dict(weights)
        self.reference.load_state_dict(weights)
        self.loop = Loop(self.policy, self.reference, self.task)
        self.optimizer = make_optimizer(config.optimizer, self.policy.parameters())
        self.sft_optimizer = make_optimizer(config.optimizer.sft, self.policy.parameters())  # type: ignore[attr-defined]
        self.schedule = LambdaLR(self.sft_optimizer, self._pace)
        self.course = Course()
        session.register(
            model=self.policy, reference=self.reference, optimizer=self.optimizer, optimizer_sft=self.sft_optimizer,
            schedule=self.schedule, course=self.course,
        )  # fmt: skip
        session.probe("evaluation", lambda: self.evaluate(session.step))
        self.asked: Prompts = self.task.sample(session.rng("eval", "prompts"), config.evaluation, reasoning=1.0)
        self.traces = self._traces() if config.border else torch.empty(0)

    def _traces(self) -> Tensor:
        """Prompts and the teacher's responses (traces, P+T), `<pad>` behind them."""
        rng = self.session.rng("data", "traces")
        prompts = self.task.sample(rng, self.config.traces, reasoning=1.0)
        self.start = prompts.tokens.shape[1]
        return written(rng, prompts, "long", skip=SFT_SKIP)

    def _pace(self, step: int) -> float:
        """The factor on SFT's rate: half a cosine from 1 to `FLOOR` over the epochs."""
        done = min(1.0, step / max(1, self.config.border))
        return FLOOR + (1 - FLOOR) * (1 + float(np.cos(np.pi * done))) / 2

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """A batch of traces, or of rollouts."""
        c = self.config
        second = step >= c.border
        if step == c.border or step == 0:
            self.session.stage("stage", int(second))
        if step == c.border:
            # GRPO is held to the policy as SFT has left it.
            self.reference.load_state_dict(self.policy.state_dict())
        if step == c.border or (not second and step % c.epoch_steps == 0):
            with self.session.isolated():
                self.evaluate(step)
        emit("stage", int(second))
        if second:
            self._reinforce(step)
        else:
            self._imitate(step)
        if step == c.length - 1:
            with self.session.isolated():
                self.evaluate(step + 1)

    def _imitate(self, step: int) -> None:
        """One step of next-token loss on the responses of a batch of traces."""
        c = self.config
        taught = self.traces[rows(self.session, step, c.traces, c.sft_batch)]
        loss = imitation(self.policy, taught, self.start)
        self.sft_optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), c.grad_clip)
        self.sft_optimizer.step()
        self.schedule.step()
        emit("sft_loss", loss)
        emit("epoch", step / c.epoch_steps)
        emit("grad_norm", norm)

    def _reinforce(self, step: int) -> None:
        """Sample, verify, learn."""
        c, session = self.config, self.session
        prompts = self.task.sample(session.rng("data", "prompts", step), c.batch_size // c.group_size, reasoning=1.0)
        batch = self.loop.sample(
            prompts.repeat(c.group_size), max_new=c.max_new, temperature=c.temperature, top_p=c.top_p, min_p=c.min_p,
            generator=session.torch_rng("method", "rollout", step),
        )  # fmt: skip
        total = torch.from_numpy(self._rewards(batch)).float()
        advantage = advantages.group_advantages(total, c.group_size)[:, None] * batch.mask
        moved = self.loop.improve(
            batch, advantage, self.optimizer,
            parts(c.batch_size, c.rl_epochs, c.minibatches, session.torch_rng("method", "policy", step)),
            temperature=c.temperature, grad_clip=c.grad_clip, kl_weight=c.beta, clip_low=c.clip, clip_high=c.clip,
        )  # fmt: skip
        emit("group_zero_std", advantages.zero_std_share(total, c.group_size))
        self.loop.show(batch, advantage, moved)
        sampled = batch.rollout.responses.numpy()
        emit("passes", self.task.passes(sampled).mean())
        emit("accuracy_pass1", self.task.first_pass_right(batch.prompts, sampled).mean())

    def _rewards(self, batch: Batch) -> np.ndarray:
        """(B,) float64, the weighted sum; each part's mean is emitted."""
        c = self.config
        lengths, right = batch.rollout.lengths.numpy(), batch.rewards > 0
        said = [self.task.text(row) for row in batch.rollout.responses.numpy()]
        found = {
            "format": c.w_format * rewards.format_reward(said, answer=ANSWER, before=END),
            "cosine": c.w_cosine * rewards.cosine_reward(lengths, right, c.max_len),
            "length": c.w_length * rewards.length_reward(lengths, right, c.group_size),
            "accuracy": c.w_accuracy * batch.rewards,
        }
        for name, values in found.items():
            emit(f"reward_{name}", values.mean())
        total: np.ndarray = sum(found.values(), np.zeros(len(right)))
        emit("reward_sum", total.mean())
        return total

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, done: int) -> None:
        """Accuracy and length on fixed prompts after `done` steps, by fixed draws; has to be called isolated."""
        c, course = self.config, self.course
        answered = self.loop.answer(
            self.asked, max_new=LONGEST, temperature=1.0, generator=self.session.torch_rng("eval", "rollout", 0)
        )
        taken = answered.rollout
        right, lengths = answered.rewards > 0, taken.lengths.numpy()
        accuracy, length = float(right.mean()), float(lengths.mean())
        emit("eval_accuracy", accuracy)
        emit("eval_length", length)
        emit("eval_truncated", taken.truncated.double().mean())
        emit("one_pass", float((2 * self.asked.sizes + 3).mean()))  # operand and sum in turn, `A`, the answer, `<eos>`
        if right.any():
            emit("tokens_per_correct", lengths.sum() / right.sum())
        for name, of in (("right", right), ("wrong", ~right)):
            emit(f"lengths_{name}", histogram(lengths[of], *LENGTHS))
        if done <= c.border:
            course.accuracies[done] = accuracy
            slope = course.slope(c.epoch_steps)
            if slope is not None:
                emit("accuracy_slope", slope)
        if done == c.border:
            course.accuracy, course.length = accuracy, length
        if course.accuracy is not None and course.length is not None:
            emit("sft_accuracy", course.accuracy)
            emit("sft_length", course.length)
            emit("accuracy_change", accuracy - course.accuracy)
            emit("length_left", length / course.length)


def train(config: TwoStage, session: SessionProtocol) -> None:
    """Train through the epochs of SFT, and through the second stage if there is one."""
    experiment = Experiment(config, session)
    for step in session.steps(config.length):
        experiment.step(step)
