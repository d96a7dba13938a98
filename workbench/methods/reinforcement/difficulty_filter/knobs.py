"""The knobs of reinforcement/difficulty_filter."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.reinforcement._shared.knobs import knob

FILTER, RL, ROLLOUT, LOOK = "Filter", "Reinforcement", "Rollouts", "Looking"


@dataclass
class DifficultyFilter(Config):
    """Knobs of GRPO on prompts of many difficulties, filtered by the policy's own pass rate."""

    steps: int = control(
        80, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run",
        help="a step is a batch of kept prompts and what is learned from it",
    )  # fmt: skip
    filter: bool = control(
        True, group=FILTER, help="keep prompts whose pass rate lies inside the band; off: plain GRPO, all are kept"
    )
    t_low: float = control(
        0.25, min=0, max=0.5, step=0.01, label="lowest pass rate", group=FILTER,
        help="harder prompts are thrown away; 0: none, .01: those that no response solves",
        hint="The band lies around one half.",
    )  # fmt: skip
    t_high: float = control(
        0.75, min=0.5, max=1, step=0.01, label="highest pass rate", group=FILTER,
        help="easier prompts are thrown away; 1: none, .99: those that every response solves",
        hint="The band lies around one half.",
    )  # fmt: skip
    max_draws: int = control(
        4, min=1, max=10, unit="batches", label="draw at most", group=FILTER,
        help="so many times the batch's prompts; a step that ends there learns from fewer, or from none",
    )  # fmt: skip
    order: str = control(
        "shuffled", choices=("shuffled", "easy_first"), when="launch", label="order of prompts", group=FILTER,
        help="sums of 1 to 8 digits in random order; or from 1 digit to 8 over the run, a curriculum fixed beforehand",
    )  # fmt: skip
    beta: float = control(
        1.0, min=0.1, max=2, step=0.05, label="beta of the drawn bound", group=LOOK,
        help="only what is drawn: how much a prompt of some pass rate can teach under a KL of this weight",
    )  # fmt: skip
    prompts: int = control(16, min=1, max=256, scale="log2", unit="prompts", when="launch", group=ROLLOUT,
                           label="prompts a step", help="kept ones")  # fmt: skip
    group_size: int = knob(
        "group_size", ROLLOUT, min=4, max=32,
        help="they give its pass rate; from few of them, prompts at the band's edges are mistaken for others",
        hint="A single response has no variance to learn from.",
    )  # fmt: skip
    temperature: float = knob("temperature", ROLLOUT)
    base_seed: int = control(
        1, min=0, max=10**6, when="launch", label="base model", group=ROLLOUT,
        help="which model it starts from, one pass of running sums with slips; each takes half a minute once; 0: the "
        "run's seed",
    )  # fmt: skip
    pretraining: int = control(
        1000, min=50, max=5000, scale="log", unit="steps", when="launch", label="base model's training",
        group=ROLLOUT, help="with fewer it adds up worse, and prompts are harder; 40 steps take a second",
    )  # fmt: skip
    clip: float = knob("clip", RL)
    epochs: int = knob("epochs", RL, default=1)
    minibatches: int = knob("minibatches", RL)
    scale_rewards: str = knob(
        "scale_rewards", RL, help="what an advantage is divided by; none: a prompt weighs as its rewards spread"
    )
    kl_loss: float = knob("kl_loss", RL, help="weight of the KL to the model it started from")
    grad_clip: float = knob("grad_clip", RL)
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=2e-4))
    evaluation: int = control(64, min=2, max=1024, scale="log2", unit="prompts", when="launch", group=LOOK,
                              label="fixed prompts", help="of each number of digits, that the probe asks")  # fmt: skip

    def validate(self) -> None:
        """Refuse a band in which no pass rate can lie, and more parts than a batch has responses."""
        rates = (right / self.group_size for right in range(self.group_size + 1))
        if not any(self.t_low - 1e-9 <= rate <= self.t_high + 1e-9 for rate in rates):
            raise InvalidValue(
                f"No pass rate of {self.group_size} responses lies from {self.t_low:g} to {self.t_high:g}: widen the "
                "band, or take an even number of responses."
            )
        if self.minibatches > self.group_size:
            raise InvalidValue(
                f"minibatches must be at most group_size, since one prompt may be all that is kept; got "
                f"{self.minibatches} and {self.group_size} responses."
            )
