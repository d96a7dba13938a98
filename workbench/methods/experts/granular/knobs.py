"""The knobs of experts/granular."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, NETWORK, ExpertsConfig

SIZES = (1, 2, 4, 8)


@dataclass
class Granular(ExpertsConfig):
    """Knobs of cutting a dense network into experts."""

    steps: int = control(
        700, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches, both stages"
    )
    dense_steps: int = control(
        400, min=0, max=10**7, scale="log", when="launch", group="Run", label="dense steps",
        help="batches that the dense network is trained on before it is cut",
    )  # fmt: skip
    then: str = control(
        "experts", choices=("experts", "dense"), when="launch", group=NETWORK, label="after that",
        help="experts: cut it; dense: go on with the dense network",
    )  # fmt: skip
    granularity: int = control(
        4, min=1, max=8, scale="log2", when="launch", group=NETWORK,
        help="slices k that the feed-forward network is cut into; must divide hidden",
    )  # fmt: skip
    copies: int = control(
        4, min=1, max=8, scale="log2", when="launch", group=NETWORK,
        help="how many times all slices are there: copies × granularity experts",
    )  # fmt: skip
    top_k: int = control(
        0, min=0, max=16, when="launch", label="top k", group=NETWORK,
        help="experts that each byte goes to; 0: as many as slices, the only number that keeps the function",
    )  # fmt: skip
    router_init: str = control(
        "grouped", choices=("grouped", "random", "zeros"), when="launch", label="router's start", group=NETWORK,
        help="grouped: one row for all slices of a copy; random: a row for each slice; zeros: ties, so the first copy",
    )  # fmt: skip
    weights: str = control(
        "renormalised", choices=("renormalised", "softmax"), when="launch", group=NETWORK,
        help="of the chosen experts: made to add up to k, or k times what softmax over all gives them, as it is",
    )  # fmt: skip
    break_symmetry: float = control(
        0.0, min=0, max=0.01, when="launch", label="noise", group=NETWORK,
        help="added to the experts' weights, as a share of their spread: copies part at once, exactness is lost",
    )  # fmt: skip
    router_lr_mult: float = control(
        1.0, min=0.1, max=10, scale="log", label="router's rate", group=NETWORK,
        help="times the learning rate, for routers alone",
    )  # fmt: skip
    alpha: float = control(
        0.01, min=0, max=0.1, label="alpha", group=BALANCE, help="weight of the load-balancing loss of the whole batch"
    )
    hidden: int = control(
        256, min=8, max=1024, scale="log2", when="launch", group=NETWORK, help="hidden units of the dense network"
    )
    experts: int = 0  # copies × granularity; follows from them
    warmup: int = 20

    @property
    def chosen(self) -> int:
        """Experts that each byte goes to."""
        return self.top_k or self.granularity

    def validate(self) -> None:
        """Refuse cuts that do not come out even, and a number of choices with which grouped slices are no network."""
        number = self.copies * self.granularity
        if self.experts not in (0, number):
            raise InvalidValue(f"experts follows from copies × granularity, here {number}; got {self.experts}.")
        self.experts = number
        if self.hidden % self.granularity:
            raise InvalidValue(f"granularity must divide hidden; got {self.granularity} and {self.hidden}.")
        if self.router_init == "grouped" and self.chosen != self.granularity:
            raise InvalidValue(
                f"With router_init=grouped top_k must be granularity ({self.granularity}) or 0, or the chosen slices "
                f"would not add up to the dense network; got {self.top_k}."
            )
        if self.then == "experts" and self.dense_steps >= self.steps:
            raise InvalidValue(
                f"dense_steps must be less than steps, or nothing is cut; got {self.dense_steps} of {self.steps}."
            )
        if number < 2 and self.then == "experts":
            raise InvalidValue("copies × granularity must be at least 2 experts; got 1.")
        super().validate()
