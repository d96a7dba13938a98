"""Live controls of TRL's GRPOTrainer, and what it has in hand between steps. TRL's private names stand here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.cards import Control
from workbench.signals import RESPONSES, responses

GROUP = "GRPO"
CONTROLS = (
    Control(name="beta", kind="float", default=0.0, min=0, max=1, group=GROUP, help="weight of the KL"),
    Control(
        name="epsilon", kind="float", default=0.2, min=0, max=1, group=GROUP,
        help="the ratio to the old policy counts from 1 - epsilon on",
    ),
    Control(
        name="epsilon_high", kind="float", default=0.2, min=0, max=10, group=GROUP,
        help="the ratio to the old policy counts up to 1 + epsilon_high",
    ),
    Control(
        name="temperature", kind="float", default=1.0, min=0.01, max=5, group=GROUP,
        help="of sampling, from the next rollouts on",
    ),
    Control(
        name="length_penalty", kind="float", default=0.0, min=-1, max=1, unit="reward/token", group=GROUP,
        help="taken from the reward for each token",
    ),
)  # fmt: skip
_ENTROPY = ("entropy_coef", "_last_world_entropy")  # of TRL's adaptive entropy bonus
_PLACES = {"beta": "beta", "epsilon": "epsilon_low", "epsilon_high": "epsilon_high", "temperature": "temperature"}


class LengthPenalty:
    """A reward function for `GRPOTrainer`: minus `weight` for each token; the weight is a live control."""

    __name__ = "length_penalty"

    def __init__(self, weight: float = 0.0) -> None:
        self.weight = weight

    def __call__(self, completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        """A reward for each response, of its tokens."""
        return [-self.weight * len(tokens) for tokens in completion_ids]


@dataclass(frozen=True)
class Batch:
    """Rollouts as TRL has scored them: lengths (B,), prompts and texts, and the sum of their weighted rewards."""

    lengths: np.ndarray
    prompts: list[Any]
    texts: list[Any]
    rewards: np.ndarray

    def quantile(self, share: float) -> float:
        """That share of the responses is at most so long, tokens."""
        return float(np.quantile(self.lengths, share))

    def responses(self) -> str:
        """A few of them, for a signal of shape ``responses``."""
        rows = range(0, len(self.texts), max(1, len(self.texts) // RESPONSES))
        return responses(
            {"prompt": _said(self.prompts[i]), "text": _said(self.texts[i]), "reward": self.rewards[i]} for i in rows
        )


class GRPO:
    """What moves inside a `GRPOTrainer`; register it.

    A temperature, and a beta that first needs the reference's log-probabilities, wait for the next rollouts: those in
    hand were sampled, and are compared with the old policy, at the old temperature.
    """

    def __init__(self, trainer: Any, show: Callable[[Batch], None]) -> None:
        self.trainer, self._show = trainer, show
        self._waiting: dict[str, float] = {}
        self._head = _captured(trainer, "temperature")
        self._sample = trainer._generate_and_score_completions
        trainer._generate_and_score_completions = self._sampled
        self._penalty = next((f for f in trainer.reward_funcs if isinstance(f, LengthPenalty)), None)

    @staticmethod
    def fits(trainer: Any) -> bool:
        """Whether this is a `GRPOTrainer` (or a descendant)."""
        return any(c.__name__ == "GRPOTrainer" and c.__module__.startswith("trl.") for c in type(trainer).__mro__)

    # -- controls -----------------------------------------------------------------------------------------------------

    def controls(self) -> dict[str, Control]:
        """Those of this trainer, at their present values."""
        return {c.name: replace(c, default=self._value(c.name)) for c in CONTROLS if self._has(c.name)}

    def veto(self, name: str, value: Any) -> str | None:
        """Why `name` cannot be set to `value` now; None: it can."""
        trainer = self.trainer
        if name == "beta" and value and trainer.ref_model is None and not hasattr(trainer.model, "peft_config"):
            return "beta was 0 when the GRPOTrainer was made, so it holds no reference; start with a beta above 0."
        if name == "temperature" and trainer.use_vllm:
            return "vLLM samples here, at the temperature it was started with."
        if name == "temperature" and not self._head:
            return "This version of trl does not let the temperature move while it trains."
        return None

    def moved(self, name: str, value: Any, old: Any) -> None:
        """Carry a set into the trainer, now or with the next rollouts."""
        if not self._has(name):
            return
        self._waiting.pop(name, None)
        if value == self._value(name):
            return
        in_hand = self.trainer._buffered_inputs
        bare = name == "beta" and in_hand is not None and "ref_per_token_logps" not in in_hand[0]
        if bare or (name == "temperature" and in_hand is not None):
            self._waiting[name] = value
        else:
            self._set(name, value)

    def follow(self, value: Callable[[str], Any]) -> None:
        """Take over what the controls say where training begins."""
        for control in CONTROLS:
            if self._has(control.name):
                self.moved(control.name, value(control.name), None)

    def _has(self, name: str) -> bool:
        return name in _PLACES or (name == "length_penalty" and self._penalty is not None)

    def _value(self, name: str) -> float:
        return float(getattr(self.trainer, _PLACES[name]) if name in _PLACES else self._penalty.weight)  # type: ignore[union-attr]

    def _set(self, name: str, value: float) -> None:
        if name == "length_penalty":
            assert self._penalty is not None
            self._penalty.weight = value
            return
        setattr(self.trainer, _PLACES[name], value)
        if name == "temperature":
            self.trainer.generation_config.temperature = value
            self.trainer.generation_kwargs["temperature"] = value
            for cell in self._head:
                cell.cell_contents = value

    # -- rollouts -----------------------------------------------------------------------------------------------------

    def _sampled(self, inputs: list[Any]) -> dict[str, Any]:
        """Sample and score, with what has waited for it; a training's batch is shown."""
        training = self.trainer.model.training
        if training:
            for name, value in self._waiting.items():
                self._set(name, value)
            self._waiting.clear()
        made: dict[str, Any] = self._sample(inputs)
        if training:
            self._show(self._batch(made))
        return made

    def _batch(self, made: Mapping[str, Any]) -> Batch:
        logs, lengths = self.trainer._logs, made["completion_mask"].sum(1).cpu().numpy()
        each = np.array([list(logs["rewards"][n])[-len(lengths) :] for n in self.trainer.reward_func_names])
        weights = self.trainer.reward_weights.cpu().numpy()
        rewards = np.nansum(each * weights[:, None], axis=0)
        return Batch(lengths, list(logs["prompt"])[-len(lengths) :], list(logs["completion"])[-len(lengths) :], rewards)

    # -- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Rollouts in hand, how often they were used, and what they were sampled with."""
        trainer = self.trainer
        return {
            "step": trainer._step,
            "in_hand": trainer._buffered_inputs,
            "values": {c.name: self._value(c.name) for c in CONTROLS if self._has(c.name)},
            "entropy": {name: getattr(trainer, name) for name in _ENTROPY if hasattr(trainer, name)},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        trainer = self.trainer
        trainer._step, device = state["step"], trainer.accelerator.device
        trainer._buffered_inputs = state["in_hand"] and [
            {n: v.to(device) if hasattr(v, "to") else v for n, v in part.items()} for part in state["in_hand"]
        ]
        for name, value in state["entropy"].items():
            setattr(trainer, name, value)
        for name, value in state["values"].items():
            self._set(name, value)


def _captured(trainer: Any, name: str) -> list[Any]:
    """The cells in which the forward passes that TRL has put into policy and reference hold a variable."""
    models = [getattr(trainer.model, "get_base_model", lambda: trainer.model)(), trainer.ref_model]
    found = []
    for model in models:
        forward = getattr(getattr(model, "forward", None), "__func__", None)
        if forward is not None and name in forward.__code__.co_freevars:
            found.append(forward.__closure__[forward.__code__.co_freevars.index(name)])
    return found


def _said(text: Any) -> str:
    """A prompt or response as text; of a conversation what was said."""
    return text if isinstance(text, str) else "\n".join(str(turn.get("content", "")) for turn in text)
