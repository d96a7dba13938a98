"""The knobs of reinforcement/bai."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from workbench.cards import Adam, Config, Optimizer, control
from workbench.methods.reinforcement._shared.knobs import check_parts, knob

START, RL, CRITIC, ROLLOUT, LOOK = "Where it starts", "Reinforcement", "Critic", "Rollouts", "Looking"


@dataclass
class CriticAdam(Adam):
    """The critic's own optimiser."""

    lr: float = control(
        5e-5, min=0, exclusive_min=True, max=1, scale="log", label="critic's learning rate", group=CRITIC,
        help="PPO: small, and the critic lags behind the policy it judges",
    )  # fmt: skip


@dataclass
class ActorCritic(Adam):
    """Adam for the policy, and one for the critic where there is one."""

    critic: CriticAdam = field(default_factory=CriticAdam)


@dataclass
class BAI(Config):
    """Knobs of reinforcement learning from a distilled, an instructed or a merged model."""

    steps: int = control(
        40, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run",
        help="a step is a batch of rollouts and what is learned from it",
    )  # fmt: skip
    regime: str = control(
        "L", choices=("L", "H"), when="launch", group=RL,
        help="L: PPO with a slow critic made from a reward model, where responses shorten; H: GRPO without a critic, "
        "where the reward dives and climbs back",
    )  # fmt: skip
    init: str = control(
        "merge", choices=("merge", "distilled", "instruct", "base"), when="launch", group=START,
        help="the policy, and the reference of the KL: a merge of three models, or one of them",
    )  # fmt: skip
    a: float = control(
        0.5, min=0, max=1, step=0.05, when="launch", label="a: distilled in the first merge", group=START,
        help="first stage: (1 - a) instruct + a distilled",
    )  # fmt: skip
    b: float = control(
        0.9, min=0, max=1, step=0.05, when="launch", label="b: first merge in the second", group=START,
        help="second stage: b first merge + (1 - b) pretrained; 1: a plain merge of two",
    )  # fmt: skip
    random_ratios: bool = control(
        False, when="launch", label="random ratios", group=START, help="draw a and b from the seed, evenly in 0 to 1"
    )
    rule: str = control(
        "linear", choices=("linear", "slerp", "ties", "dare"), when="launch", label="merge rule", group=START,
        help="of the first stage: weights added; along the arc; or differences from the pretrained model, trimmed "
        "(ties) or dropped at random (dare)",
    )  # fmt: skip
    density: float = control(
        0.5, min=0.01, max=1, step=0.01, when="launch", group=START, help="ties, dare: share of differences kept"
    )
    base_seed: int = control(
        1, min=0, max=10**6, when="launch", label="base model", group=START,
        help="which pretrained model and its relatives; 1 is at hand, 2 and 3 take half a minute once, others two "
        "minutes; 0: the run's seed",
    )  # fmt: skip
    clip: float = knob("clip", RL)
    clip_high: float = control(
        0.2, min=0.05, max=0.5, step=0.01, label="clip above", group=RL, help="the upper side of the same"
    )
    epochs: int = knob("epochs", RL)
    minibatches: int = knob("minibatches", RL)
    grad_clip: float = knob("grad_clip", RL)
    length_penalty: float = control(
        0.0, min=0, max=0.05, step=0.001, label="length penalty", unit="reward/token", group=RL,
        help="taken from the reward for each token",
    )  # fmt: skip
    loss: str = control(
        "grpo", choices=("grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo"), label="GRPO's loss", group=RL,
        help="H: how tokens and sequences are averaged, and where the ratio is clipped",
    )  # fmt: skip
    scale_rewards: str = knob("scale_rewards", RL, help="H: what the advantage is divided by")
    kl_loss: float = knob("kl_loss", RL, help="H: weight of the KL to the reference")
    kl_estimator: str = control("k3", choices=("k1", "k2", "k3"), label="KL estimator", group=RL,
                                help="H: of the KL in the loss")  # fmt: skip
    kl_reward: float = control(
        0.02, min=0, max=0.2, step=0.005, label="KL in the reward", group=CRITIC,
        help="L: taken from each token's reward, times the log ratio to the reference",
    )  # fmt: skip
    lam: float = control(
        0.8, min=0.5, max=1, step=0.01, label="lambda", group=CRITIC,
        help="L: how far back the end's reward is felt; below 1 the critic speaks for early tokens",
    )  # fmt: skip
    gamma: float = control(1.0, min=0.9, max=1, step=0.005, group=CRITIC, help="L: discount a token")
    whiten: str = control(
        "full", choices=("full", "std", "off"), label="whiten advantages", group=CRITIC,
        help="L: full also takes the mean away, which decides the sign of early tokens' advantages",
    )  # fmt: skip
    critic_init: str = control(
        "reward_model", choices=("reward_model", "zero"), when="launch", label="critic starts as", group=CRITIC,
        help="L: the reward model, which has seen finished answers alone; or the pretrained model with a head of zeros",
    )  # fmt: skip
    critic_warmup: int = control(
        0, min=0, max=50, unit="steps", when="launch", label="critic's warm-up", group=CRITIC,
        help="L: so many steps first teach the critic alone",
    )  # fmt: skip
    batch_size: int = knob("batch_size", ROLLOUT)
    group_size: int = knob("group_size", ROLLOUT, help="H: compared with each other; must divide the batch")
    reasoning: float = control(
        0.7, min=0, max=1, step=0.05, label="share of reasoning", group=ROLLOUT, help="prompts that ask for a sum; the "
        "others ask for a string backwards",
    )  # fmt: skip
    temperature: float = knob("temperature", ROLLOUT)
    max_new: int = knob("max_new", ROLLOUT, help="a longer one is cut off and gets no reward")
    optimizer: Optimizer = field(default_factory=lambda: ActorCritic(lr=5e-4))
    size: str = "s"
    evaluation: int = control(256, min=16, max=4096, scale="log2", unit="prompts", when="launch", group=LOOK,
                              help="fixed prompts that the probe asks")  # fmt: skip

    def validate(self) -> None:
        """Refuse groups and minibatches that do not divide the batch; warn where nothing can be seen."""
        check_parts(self.batch_size, group_size=self.group_size, minibatches=self.minibatches)
        if self.critic_warmup >= self.steps:
            warnings.warn(
                f"The critic's warm-up takes {self.critic_warmup} of {self.steps} steps: the policy never moves.",
                stacklevel=2,
            )
