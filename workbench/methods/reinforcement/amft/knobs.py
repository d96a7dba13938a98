"""The knobs of reinforcement/amft."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.reinforcement._shared.knobs import check_parts, check_traces, knob

MIX, CONTROL, RL, ROLLOUT, LOOK = "Mixture", "Controller", "Update", "Rollouts and traces", "Looking"


@dataclass
class Amft(Config):
    """Knobs of training on traces and rollouts at once, and of what steers their weights."""

    steps: int = control(
        100, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run",
        help="a step is a batch of traces, a batch of rollouts and what is learned from both",
    )  # fmt: skip
    base_seed: int = control(
        1, min=0, max=10**6, when="launch", label="base model", group="Run",
        help="which pretrained model, with room for 7 operands; each is made once, in about a minute; 0: the run's "
        "seed",
    )  # fmt: skip
    pretraining: int = control(
        1200, min=1, max=10**5, scale="log", unit="steps", when="launch", group="Run",
        help="of the pretrained model; fewer make one that hardly knows sums",
    )  # fmt: skip
    mu: float = control(
        0.5, min=0, max=1, step=0.05, label="mu: weight of imitation", group=MIX,
        help="the loss is (1 - mu) of reinforcement and mu of imitation; a controller only starts here",
    )  # fmt: skip
    schedule: str = control(
        "constant", choices=("constant", "linear", "switch"), group=MIX,
        help="of mu without a controller: as set; falling from there to 0 at the run's end; or 1, and 0 from the "
        "switch on",
    )  # fmt: skip
    switch: int = control(40, min=0, max=10**6, unit="steps", group=MIX,
                          help="where imitation ends if the schedule is a switch")  # fmt: skip
    warmup: int = control(10, min=0, max=10**5, unit="steps", when="launch", label="warm-up", group=MIX,
                          help="imitation alone, whatever mu is")  # fmt: skip
    controller: str = control(
        "both", choices=("off", "entropy", "meta", "both"), group=CONTROL,
        help="what moves mu: nothing, entropy, the gradient of validation reward, or both",
    )  # fmt: skip
    alpha_meta: float = control(0.02, min=0, max=0.2, step=0.005, label="rate of the meta-gradient", group=CONTROL,
                                help="largest change of mu by it")  # fmt: skip
    alpha_entropy: float = control(0.02, min=0, max=0.1, step=0.005, unit="1/nat", label="rate of entropy",
                                   group=CONTROL, help="change of mu for each nat above the target")  # fmt: skip
    target_entropy: float = control(0.2, min=0.05, max=1, step=0.01, unit="nats/token", label="target entropy",
                                    group=CONTROL, help="above it mu rises, below it mu falls")  # fmt: skip
    every: int = control(5, min=1, max=20, unit="steps", group=CONTROL, help="between two changes of mu")
    mu_min: float = control(0.05, min=0, max=1, step=0.01, label="lowest mu", group=CONTROL,
                            help="a controller goes no lower")  # fmt: skip
    mu_max: float = control(0.95, min=0, max=1, step=0.01, label="highest mu", group=CONTROL,
                            help="a controller goes no higher")  # fmt: skip
    eta: float = control(
        0.03, min=0, max=1, step=0.005, label="look-ahead", group=CONTROL,
        help="length of the plain gradient step behind which validation reward is measured",
    )  # fmt: skip
    validation: int = control(64, min=2, max=1024, scale="log2", unit="prompts", when="launch", group=CONTROL,
                              help="held out, newly drawn each time, 4 responses each")  # fmt: skip
    clip: float = knob("clip", RL)
    passes: int = knob("epochs", RL, label="passes a batch", help="updates from each batch")
    grad_clip: float = knob("grad_clip", RL, help="largest norm of the mixture's gradient")
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=1e-4))
    traces: int = knob("traces", ROLLOUT, help="the teacher's, one pass that slips at a tenth of its steps")
    sft_batch: int = knob("sft_batch", ROLLOUT)
    batch_size: int = knob("batch_size", ROLLOUT, default=64)
    group_size: int = knob("group_size", ROLLOUT)
    temperature: float = knob("temperature", ROLLOUT)
    max_new: int = knob("max_new", ROLLOUT, default=24)
    size: str = "s"
    evaluation: int = control(
        256, min=16, max=4096, scale="log2", unit="prompts", when="launch", group=LOOK,
        help="fixed prompts of 3 to 5 operands, as many of 6 and 7, and as many held-out traces",
    )  # fmt: skip

    def validate(self) -> None:
        """Refuse batches that cannot be made and bounds that leave no room; warn of a run that never mixes."""
        check_parts(self.batch_size, group_size=self.group_size)
        check_traces(self.sft_batch, self.traces)
        if self.mu_min > self.mu_max:
            raise InvalidValue(f"mu_min must not exceed mu_max; got {self.mu_min} and {self.mu_max}.")
        if self.steps <= self.warmup:
            warnings.warn(
                f"The warm-up takes {self.warmup} steps and the run ends after {self.steps}: it only imitates.",
                stacklevel=2,
            )
