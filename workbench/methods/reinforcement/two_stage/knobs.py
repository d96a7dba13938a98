"""The knobs of reinforcement/two_stage."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.reinforcement._shared.knobs import check_parts, check_traces, knob

SFT, RL, REWARD, ROLLOUT, LOOK = "First stage: SFT", "Second stage: GRPO", "Rewards", "Rollouts", "Looking"


@dataclass
class SftAdam(Adam):
    """The first stage's own optimiser."""

    lr: float = control(
        5e-4, min=0, exclusive_min=True, max=1, scale="log", label="SFT's learning rate", group=SFT,
        help="falls along a cosine to a tenth over the epochs",
    )  # fmt: skip


@dataclass
class TwoAdams(Adam):
    """Adam for the second stage, and one for the first."""

    sft: SftAdam = field(default_factory=SftAdam)


@dataclass
class TwoStage(Config):
    """Knobs of fine-tuning on a teacher's traces and of the reinforcement learning that follows."""

    steps: int = control(
        160, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run",
        help="of both stages: a batch of traces first, then a batch of rollouts each",
    )  # fmt: skip
    reinforce: bool = control(
        True, when="launch", fork=True, label="second stage", group="Run",
        help="off: the run ends with the epochs of SFT; a fork from its end, with this on and more steps, goes on",
    )  # fmt: skip
    base_seed: int = control(
        1, min=0, max=10**6, when="launch", label="base model", group="Run",
        help="which pretrained model; 1, 2 and 3 are at hand, others take two minutes once; 0: the run's seed",
    )  # fmt: skip
    epochs: int = control(10, min=0, max=20, when="launch", group=SFT,
                          help="over the traces; 0: GRPO from the pretrained model")  # fmt: skip
    traces: int = knob("traces", SFT, default=800, help="the teacher's, long: passes until two agree")
    sft_batch: int = knob("sft_batch", SFT)
    w_format: float = control(
        1.0, min=0, max=2, step=0.05, label="weight of form", group=REWARD,
        help="1 where a response ends in time with a single digit as its answer",
    )  # fmt: skip
    w_cosine: float = control(
        1.0, min=0, max=2, step=0.05, label="weight of cosine", group=REWARD,
        help="right: from 1 at length 0 down to 0.1; wrong: from -1 up to -0.1",
    )  # fmt: skip
    w_length: float = control(
        1.0, min=0, max=2, step=0.05, label="weight of length", group=REWARD,
        help="0.5 for the shortest response to a prompt down to -0.5 for the longest; wrong: at most 0",
    )  # fmt: skip
    w_accuracy: float = control(
        0.0, min=0, max=2, step=0.05, label="weight of accuracy", group=REWARD,
        help="1 for a right answer whatever its length; not in the recipe",
    )  # fmt: skip
    max_len: float = control(
        60, min=10, max=80, step=1, unit="tokens", label="end of the cosine", group=REWARD,
        help="length where the cosine reward stops changing",
    )  # fmt: skip
    beta: float = control(0.04, min=0, max=0.2, step=0.005, label="KL in the loss", group=RL,
                          help="weight of the KL to the policy at the end of SFT")  # fmt: skip
    clip: float = knob("clip", RL)
    rl_epochs: int = knob("epochs", RL, label="passes a batch", help="how often it is gone through")
    minibatches: int = knob("minibatches", RL)
    grad_clip: float = knob("grad_clip", RL, help="largest norm of the gradient, in both stages")
    batch_size: int = knob("batch_size", ROLLOUT, help="a step of GRPO")
    group_size: int = knob("group_size", ROLLOUT)
    temperature: float = knob("temperature", ROLLOUT)
    top_p: float = control(1.0, min=0.1, max=1, step=0.05, label="top p", group=ROLLOUT,
                           help="of the likeliest tokens that together have this share; authors: 0.9")  # fmt: skip
    min_p: float = control(0.0, min=0, max=0.5, step=0.01, label="min p", group=ROLLOUT,
                           help="of tokens at least this likely, relative to the likeliest; authors: 0.05")  # fmt: skip
    max_new: int = knob("max_new", ROLLOUT)
    optimizer: Optimizer = field(default_factory=lambda: TwoAdams(lr=3e-5))
    size: str = "s"
    evaluation: int = control(512, min=16, max=4096, scale="log2", unit="prompts", when="launch", group=LOOK,
                              help="fixed prompts that the probe asks, at temperature 1 without cuts")  # fmt: skip

    @property
    def epoch_steps(self) -> int:
        """Full batches of an epoch."""
        return self.traces // self.sft_batch

    @property
    def border(self) -> int:
        """The first step of the second stage."""
        return self.epochs * self.epoch_steps

    @property
    def length(self) -> int:
        """Steps that the run takes."""
        return self.steps if self.reinforce else min(self.steps, self.border)

    def validate(self) -> None:
        """Refuse batches that cannot be made, and a run without a stage; warn where the second is never reached."""
        check_parts(self.batch_size, group_size=self.group_size, minibatches=self.minibatches)
        check_traces(self.sft_batch, self.traces)
        if not self.length:
            raise InvalidValue("With 0 epochs and no second stage nothing is trained: set epochs, or reinforce=true.")
        if self.reinforce and self.steps <= self.border:
            warnings.warn(
                f"SFT takes {self.border} steps ({self.epochs} epochs of {self.epoch_steps}) and the run ends after "
                f"{self.steps}: the second stage is not reached.",
                stacklevel=2,
            )
