"""The knobs of experts/bam."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, NETWORK, ExpertsConfig

MIX = "Mixing"


@dataclass
class Bam(ExpertsConfig):
    """Knobs of making one mixture of specialists."""

    steps: int = control(
        800, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches, all stages"
    )
    recipe: str = control(
        "mix", choices=("mix", "dense"), when="launch", group=MIX,
        help="mix: seed, specialists, mixture; dense: the seed goes on",
    )  # fmt: skip
    attention: str = control(
        "experts", choices=("averaged", "experts", "experts_shared_kv"), when="launch", group=MIX,
        help="the mixture's: the specialists' mean (Branch-Train-Mix), all of them, or these with mean keys and values",
    )  # fmt: skip
    attention_routing: str = control(
        "soft", choices=("soft", "top1", "top2"), when="launch", label="attention routing", group=MIX,
        help="soft: every attention expert weighs; top1, top2: the likeliest alone (all are computed all the same)",
    )  # fmt: skip
    seed_steps: int = control(
        300, min=1, max=10**7, scale="log", unit="steps", label="seed steps", group=MIX,
        help="batches of the dense seed model; behind its end a change does nothing",
    )  # fmt: skip
    branch_steps: int = control(
        200, min=1, max=10**7, scale="log", unit="steps", label="branch steps", group=MIX,
        help="batches shared out to the specialists by domain; behind their end a change does nothing",
    )  # fmt: skip
    freeze_experts: bool = control(
        False, label="freeze experts", group=MIX, help="the mixture's experts stand still; routers and the rest learn"
    )
    top_k: int = control(
        2, min=1, max=2, label="top k", group=NETWORK, help="feed-forward experts that each byte goes to"
    )
    alpha: float = control(
        0.02, min=0, max=0.5, label="alpha", group=BALANCE,
        help="weight of the load-balancing loss of the feed-forward experts, of the whole batch",
    )  # fmt: skip
    experts: int = 0  # one a domain; follows from them
    warmup: int = 20

    def validate(self) -> None:
        """Refuse stages that leave nothing to mix and batches that leave a specialist without text."""
        number = len(set(self.domains))
        if number < 2:
            raise InvalidValue(f"domains must name at least two, a specialist each; got {', '.join(self.domains)}.")
        if self.experts not in (0, number):
            raise InvalidValue(f"experts follows from the number of domains, {number}; got {self.experts}.")
        self.experts = number
        super().validate()
        if self.batch_size < number:
            raise InvalidValue(
                f"batch_size must be at least {number}, a sequence for each specialist; got {self.batch_size}."
            )
        if self.recipe == "mix" and self.seed_steps + self.branch_steps >= self.steps:
            raise InvalidValue(
                f"seed_steps + branch_steps must be less than steps, or nothing is mixed; got {self.seed_steps} + "
                f"{self.branch_steps} of {self.steps}."
            )
