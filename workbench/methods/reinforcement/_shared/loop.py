"""One step of reinforcement learning in the laboratory: responses, their rewards, and what is learned from them.

A step samples a batch with the policy as it stands, has every response verified, and goes through the batch a few
times. Everything is (B, T): B responses of at most T tokens, with a mask that holds `<eos>` and nothing behind it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.methods.reinforcement._shared import losses
from workbench.methods.reinforcement._shared.model import Critic, Decoder
from workbench.methods.reinforcement._shared.sampling import Rollout, distributions, rollout
from workbench.methods.reinforcement._shared.shown import LENGTHS
from workbench.methods.reinforcement._shared.tasks import Prompts, Task
from workbench.signals import emit, histogram, responses

SHOWN = 6  # responses a step


@dataclass(frozen=True)
class Answered:
    """Responses to prompts, row by row, their rewards (rows,) float64, and the seconds that sampling took."""

    prompts: Prompts
    rollout: Rollout
    rewards: np.ndarray
    seconds: float = 0.0

    def take(self, rows: np.ndarray) -> Answered:
        """These rows, with their share of the seconds."""
        share = len(rows) / max(1, len(self.rewards))
        return Answered(
            self.prompts.take(rows), self.rollout.take(torch.from_numpy(rows)), self.rewards[rows],
            self.seconds * share,
        )  # fmt: skip


@dataclass
class Batch:
    """What a step has sampled, and what policy, reference and critic say of it before anything moves.

    Attributes:
        prompts: what was asked; one row a response.
        rollout: the responses (B, T) with their mask.
        rewards: (B,) float64, of the verifier.
        logp, ref_logp: (B, T) log-probabilities of the sampled tokens.
        entropy, kl: (B, T) of the whole next-token distribution, and its KL to the reference's, nats.
        values: (B, T) of the critic; None without one.
        seconds: that sampling took.
    """

    prompts: Prompts
    rollout: Rollout
    rewards: np.ndarray
    logp: Tensor
    ref_logp: Tensor
    entropy: Tensor
    kl: Tensor
    values: Tensor | None = None
    seconds: float = 0.0

    @property
    def mask(self) -> Tensor:
        """(B, T) bool: what counts."""
        return self.rollout.mask


@dataclass
class Moved:
    """What the updates of one step did: means over them, and the largest ratio."""

    found: dict[str, list[float]] = field(default_factory=dict)

    def take(self, **values: float | Tensor) -> None:
        """One more update's figures."""
        for name, value in values.items():
            self.found.setdefault(name, []).append(float(value))

    def means(self) -> dict[str, float]:
        """Mean of each figure; of the largest ratio the largest."""
        return {n: max(v) if n == "ratio_max" else float(np.mean(v)) for n, v in self.found.items()}


class Verifier:
    """A task's `verify`, one response at a time where it fails: that one gets no reward, and it is said once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.complained = False

    def __call__(self, prompts: Prompts, responses: np.ndarray) -> np.ndarray:
        """(B,) float64 rewards of `responses` (B, T)."""
        try:
            return np.asarray(self.task.verify(prompts, responses), dtype=np.float64)
        except Exception:  # noqa: BLE001 (anybody's verifier)
            return np.array([self._one(prompts.take([i]), responses[i : i + 1]) for i in range(len(responses))])

    def _one(self, prompts: Prompts, response: np.ndarray) -> float:
        try:
            return float(self.task.verify(prompts, response)[0])
        except Exception as error:  # noqa: BLE001
            if not self.complained:
                self.complained = True
                warnings.warn(
                    f"The verifier failed on a response ({type(error).__name__}: {error}); such a response gets reward "
                    "0.",
                    stacklevel=2,
                )
            return 0.0


class Loop:
    """A policy, what it is held to, and a critic where there is one.

    Args:
        policy: what is trained; `reference` stays as it is.
        task: a module of `workbench.methods.reinforcement._shared.tasks`.
        critic: tokens (B, T) to values (B, T), or None.
    """

    def __init__(self, policy: Decoder, reference: Decoder, task: Task, critic: Critic | None = None) -> None:
        self.policy, self.reference, self.task, self.critic = policy, reference, task, critic
        self.verify = Verifier(task)
        reference.requires_grad_(False)

    # -- sampling -----------------------------------------------------------------------------------------------------

    def answer(
        self, prompts: Prompts, *, max_new: int, temperature: float, generator: torch.Generator, top_p: float = 1.0,
        min_p: float = 0.0,
    ) -> Answered:  # fmt: skip
        """A response to each row of prompts, by the policy as it stands, verified; see `sampling.rollout`."""
        began = time.perf_counter()
        taken = rollout(
            self.policy, torch.from_numpy(prompts.tokens), max_new=max_new, temperature=temperature,
            generator=generator, top_p=top_p, min_p=min_p,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        return Answered(prompts, taken, self.verify(prompts, taken.responses.numpy()), seconds)

    @torch.no_grad()
    def judge(self, answered: Answered, temperature: float) -> Batch:
        """Answers with what policy, reference and critic say of them, of whole distributions at that temperature."""
        taken = answered.rollout
        short = taken.trim()  # computing with the padding behind all responses would be waste
        missing = taken.responses.shape[1] - short.responses.shape[1]

        def whole(columns: Tensor) -> Tensor:
            return F.pad(columns * short.mask, (0, missing))

        mine, theirs = (distributions(m, short, temperature) for m in (self.policy, self.reference))
        share, at = mine.exp(), short.responses.unsqueeze(-1)
        return Batch(
            answered.prompts, taken, answered.rewards,
            logp=whole(mine.gather(-1, at).squeeze(-1)), ref_logp=whole(theirs.gather(-1, at).squeeze(-1)),
            entropy=whole(-(share * mine).sum(-1)), kl=whole((share * (mine - theirs)).sum(-1)),
            values=whole(self._values(short)) if self.critic is not None else None, seconds=answered.seconds,
        )  # fmt: skip

    def sample(self, prompts: Prompts, *, temperature: float, **how: Any) -> Batch:
        """`answer` and `judge`: what most methods train on."""
        return self.judge(self.answer(prompts, temperature=temperature, **how), temperature)

    def _values(self, taken: Rollout) -> Tensor:
        """(B, T): what the critic expects before each response token is chosen."""
        assert self.critic is not None
        return self.critic(taken.tokens[:, :-1])[:, taken.start - 1 :]

    # -- learning -----------------------------------------------------------------------------------------------------

    def improve(
        self, batch: Batch, advantage: Tensor, optimizer: torch.optim.Optimizer, parts: Iterator[Tensor], *,
        temperature: float, grad_clip: float, kl_weight: float = 0.0, kl_estimator: str = "k3", **rule: Any,
    ) -> Moved:  # fmt: skip
        """Go through the batch in `parts` (rows of each), one step of the optimiser for each part.

        `rule` is what `losses.policy` takes: the loss, how far the ratio counts, and what it is averaged over.
        """
        moved = Moved()
        for rows in parts:
            taken = batch.rollout.take(rows).trim()
            columns = (rows, slice(taken.responses.shape[1]))
            logp = distributions(self.policy, taken, temperature).gather(-1, taken.responses.unsqueeze(-1)).squeeze(-1)
            logp = logp * taken.mask
            penalty = kl_weight * losses.kl(logp, batch.ref_logp[columns], kl_estimator) if kl_weight else None
            found = losses.policy(logp, batch.logp[columns], advantage[columns], taken.mask, penalty=penalty, **rule)
            optimizer.zero_grad()
            found.loss.backward()
            norm = nn.utils.clip_grad_norm_(self.policy.parameters(), grad_clip)
            optimizer.step()
            moved.take(policy_loss=found.loss.detach(), grad_norm=norm, clipped_low=found.clip_low,
                       clipped_high=found.clip_high, ratio_max=found.ratio_max)  # fmt: skip
        return moved

    def teach_critic(
        self, batch: Batch, returns: Tensor, optimizer: torch.optim.Optimizer, parts: Iterator[Tensor], grad_clip: float
    ) -> None:
        """Squared error of the critic to the returns (B, T), in parts of the batch, too."""
        assert self.critic is not None
        for rows in parts:
            taken = batch.rollout.take(rows).trim()
            values = self._values(taken)
            loss = losses.masked_mean((values - returns[rows, : values.shape[1]]) ** 2, taken.mask)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.critic.parameters(), grad_clip)
            optimizer.step()

    # -- looking ------------------------------------------------------------------------------------------------------

    def show(
        self, batch: Batch, advantage: Tensor, moved: Moved, *, kinds: bool = False, marks: Sequence[str] = ("V", "A")
    ) -> None:
        """Emit what every method of the family shows of a step, see `shown.signals`.

        `kinds`: reward and length also by kind of prompt, where there are two. `marks` are set apart in responses.
        """
        for name, value in {**_figures(batch, advantage, kinds), **moved.means()}.items():
            emit(name, value)
        sampled, prompts = batch.rollout.responses.numpy(), batch.prompts.tokens
        text = self.task.text
        emit("responses", responses(
            ({"prompt": text(prompts[i]), "text": text(sampled[i]), "reward": batch.rewards[i]}
             for i in range(0, len(sampled), max(1, len(sampled) // SHOWN))), marks=marks,
        ))  # fmt: skip


def parts(batch: int, epochs: int, minibatches: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of each update: every epoch a new order of all `batch` rows in `minibatches` equal parts."""
    for _ in range(epochs):
        yield from torch.randperm(batch, generator=generator).chunk(minibatches)


def _figures(batch: Batch, advantage: Tensor, kinds: bool) -> dict[str, Any]:
    """Figures of a step by signal."""
    mask, lengths = batch.mask, batch.mask.sum(1)
    tokens = mask.sum()
    rewards = batch.rewards
    ratio = (batch.ref_logp - batch.logp)[mask]
    position = torch.arange(mask.shape[1])
    early = mask & (position < lengths[:, None] / 2)
    late = mask & (position >= lengths[:, None] * 0.75)
    low, high = np.quantile(lengths.numpy(), (0.1, 0.9))
    found: dict[str, Any] = {
        "reward": rewards.mean(), "length": lengths.double().mean(), "length_p10": low, "length_p90": high,
        "length_hist": histogram(lengths, *LENGTHS),
        "truncated": batch.rollout.truncated.double().mean(),
        "entropy": batch.entropy.sum() / tokens, "entropy_by_position": _by_position(batch.entropy, mask),
        "kl_sequence": batch.kl.sum(1).mean(), "kl_token": batch.kl.sum() / tokens,
        "kl_k1": -ratio.mean(), "kl_k2": (ratio**2 / 2).mean(), "kl_k3": (ratio.exp() - 1 - ratio).mean(),
        "advantage_early": advantage[early].mean(), "advantage_late": advantage[late].mean(),
        "rollouts_per_s": len(rewards) / batch.seconds, "tokens_per_s": float(tokens) / batch.seconds,
    }  # fmt: skip
    for kind, name in enumerate(("reasoning", "chat") if kinds else ()):
        if (of := batch.prompts.kinds == kind).any():
            found[f"reward_{name}"] = rewards[of].mean()
            found[f"length_{name}"] = lengths.numpy()[of].mean()
    if batch.values is not None:
        found["value_by_position"] = _by_position(batch.values, mask)
    return found


def _by_position(values: Tensor, mask: Tensor) -> Tensor:
    """(T,): mean over the responses that are as long; 0 where none is."""
    return (values * mask).sum(0) / mask.sum(0).clamp(min=1)
