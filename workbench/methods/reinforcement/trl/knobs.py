"""The knobs of reinforcement/trl; the live ones have the names of TRL's arguments."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import AdamW, Config, Optimizer, control
from workbench.methods.reinforcement._shared.knobs import check_parts, knob

MODEL, RL, REWARD, ROLLOUT = "Model", "Reinforcement", "Reward", "Rollouts"


@dataclass
class Trl(Config):
    """Knobs of GRPO by TRL's trainer."""

    steps: int = control(
        60, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run", help="steps of the optimiser"
    )
    model: str = control(
        "random", when="launch", group=MODEL,
        help="folder of a causal language model on this machine; or one that is made here: random (a tiny Llama that "
        "has learned nothing), or the laboratory's base, instruct or distilled",
    )  # fmt: skip
    model_seed: int = control(
        1, min=0, max=10**6, when="launch", label="model's seed", group=MODEL,
        help="of a model that is made here; of the laboratory's 1 is at hand",
    )  # fmt: skip
    lora_rank: int = control(
        0, min=0, max=256, when="launch", label="LoRA rank", group=MODEL, help="0: train every weight"
    )
    device: str = control(
        "cpu", choices=("cpu", "cuda"), when="launch", group=MODEL, help="cuda also computes in bfloat16"
    )
    beta: float = control(
        0.04, min=0, max=1, step=0.005, group=RL, help="weight of the KL (k3) to the model as it was at the start"
    )
    epsilon: float = control(
        0.2, min=0, max=1, step=0.01, group=RL, help="the ratio to the old policy counts from 1 - epsilon on"
    )
    epsilon_high: float = control(
        0.2, min=0, max=1, step=0.01, label="epsilon above", group=RL, help="and up to 1 + this"
    )
    loss: str = control(
        "dapo", choices=("dapo", "grpo", "bnpo", "dr_grpo"), when="launch", group=RL,
        help="how tokens and sequences are averaged",
    )  # fmt: skip
    scale_rewards: str = knob("scale_rewards", RL, when="launch", help="what the advantage is divided by")
    reuse: int = control(2, min=1, max=16, when="launch", unit="steps", group=RL, help="that learn from one batch")
    grad_clip: float = knob("grad_clip", RL, when="launch")
    form: float = control(
        0.1, min=0, max=1, step=0.05, group=REWARD, help="for a response that ends with one digit behind an A"
    )
    length_penalty: float = control(
        0.0, min=-0.1, max=0.1, step=0.001, label="length penalty", unit="reward/token", group=REWARD,
        help="taken from the reward for each token",
    )  # fmt: skip
    batch_size: int = knob("batch_size", ROLLOUT, default=32, help="sampled at once")
    group_size: int = knob("group_size", ROLLOUT, when="launch")
    temperature: float = knob("temperature", ROLLOUT, help="of sampling, from the next batch on")
    max_new: int = knob(
        "max_new", ROLLOUT, max=4096, scale="log", when="launch",
        help="a longer one is cut off and counts as wrong; the laboratory's models have room for 40",
    )  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: AdamW(lr=3e-4, weight_decay=0.0))

    def validate(self) -> None:
        """Refuse groups that do not divide the batch."""
        check_parts(self.batch_size, group_size=self.group_size)
