"""The knobs of experts/top_p."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, NETWORK, TEXT, ExpertsConfig

CURRICULUM = "Curriculum"


@dataclass
class TopPConfig(ExpertsConfig):
    """Knobs of a mixture with a changing number of experts, and of how it comes about."""

    steps: int = control(
        1200, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches, all stages"
    )
    recipe: str = control(
        "curriculum", choices=("curriculum", "joint", "balanced"), when="launch", group=CURRICULUM,
        help="curriculum: base, specialists, gate, everything; joint: one mixture from the start on the texts as large "
        "as they are; balanced: the same with equally many sequences a domain. These two train the specialists beside "
        "it, to compare with",
    )  # fmt: skip
    base_steps: int = control(
        60, min=1, max=10**7, scale="log", label="base steps", group=CURRICULUM,
        help="batches of the dense network that specialists start from, on the texts as large as they are; behind its "
        "end a change does nothing",
    )  # fmt: skip
    specialist_steps: int = control(
        180, min=1, max=10**7, scale="log", when="stage", stage="training", label="specialist's steps",
        group=CURRICULUM, help="batches of each domain's own network; for those that have not begun",
    )  # fmt: skip
    gate_steps: int = control(
        60, min=1, max=10**7, scale="log", when="stage", stage="training", label="gate's steps", group=CURRICULUM,
        help="batches that gate and shared experts alone are trained on, before everything is",
    )  # fmt: skip
    freeze_experts_in_warmup: bool = control(
        True, label="only the gate learns", group=CURRICULUM, help="during the gate's steps; off: everything does"
    )
    batch_size: int = control(
        16, min=1, max=1024, scale="log2", unit="sequences", when="launch", group=TEXT, help="sequences a step"
    )
    layers: int = control(2, min=1, max=12, when="launch", group=NETWORK, help="blocks of attention and experts")
    imbalance: float = control(
        50.0, min=1, max=50, scale="log", when="launch", group=TEXT,
        help="bytes of the first domain over those of the last one; the others lie between",
    )  # fmt: skip
    top_p: float = control(
        0.7, min=0, max=1, label="top p", group=NETWORK,
        help="probability that a byte's experts must gather; 0: always top_k experts",
    )  # fmt: skip
    top_k: int = control(
        2, min=1, max=8, label="top k", group=NETWORK, help="experts that each byte goes to, if top_p = 0"
    )
    n_null: int = control(
        1, min=0, max=4, when="launch", label="null experts", group=NETWORK, help="that return nothing and cost nothing"
    )
    n_shared: int = control(
        1, min=0, max=2, when="launch", label="shared experts", group=NETWORK, help="that every byte goes to"
    )
    jitter: float = control(
        0.01, min=0, max=0.3, group=NETWORK,
        help="candidates within twice this share of the highest logit are drawn from; larger: softer weights",
    )  # fmt: skip
    experts: int = control(
        4, min=2, max=64, scale="log2", when="launch", group=NETWORK,
        help="routed experts; a multiple of the number of domains, whose specialists they begin as",
    )  # fmt: skip
    alpha: float = control(
        0.01, min=0, max=0.5, label="alpha", group=BALANCE,
        help="weight of the balancing loss, mean over layers, whose balanced value is the mean number of experts",
    )  # fmt: skip
    warmup: int = 20

    @property
    def dense_steps(self) -> int:
        """Steps before the mixture's own: the base's and all specialists'."""
        return self.base_steps + len(self.domains) * self.specialist_steps

    def validate(self) -> None:
        """Refuse specialists that do not fit the experts, and stages longer than the run."""
        if self.experts % len(self.domains):
            raise InvalidValue(
                f"experts must be a multiple of the {len(self.domains)} domains, whose specialists they begin as; got "
                f"{self.experts}."
            )
        if self.dense_steps + self.gate_steps >= self.steps:
            raise InvalidValue(
                "steps must be more than base_steps, specialist_steps a domain and gate_steps together "
                f"({self.dense_steps + self.gate_steps}); got {self.steps}."
            )
        super().validate()
