"""The knobs of imbalance/bonsai."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.imbalance.bonsai import ood

LAST, FEATURES, DATA, NETWORK, LOOK = "OoD stage", "Rich features", "Data", "Network", "Looking"
ROUNDS = 4  # at most, ERM included
TEST_FLIPS = (0.9, 0.1, 0.5)


@dataclass
class Bonsai(Config):
    """Knobs of rich feature construction and of the OoD method that follows."""

    steps: int = control(
        501, min=1, max=10**6, scale="log", when="launch", fork=True, label="OoD steps", group="Run",
        help="of the last stage; the stages before it come on top",
    )  # fmt: skip
    start: str = control(
        "rfc", choices=("rfc", "erm", "random"), when="launch", group=LAST,
        help="where the OoD method starts: at synthesised features, behind a short ERM, at random weights",
    )  # fmt: skip
    ood_method: str = control("vrex", choices=ood.names(), when="stage", stage="stage", label="OoD method", group=LAST,
                              help="what the last stage trains")  # fmt: skip
    penalty_weight: float = control(
        1e4, min=1, max=1e5, scale="log", group=LAST,
        help="of the penalty; the whole loss is divided by it, so that a large one leaves little of the risk",
    )  # fmt: skip
    freeze: bool = control(True, group=LAST, label="freeze features", help="the last stage trains the head alone")
    erm_steps: int = control(
        51, min=0, max=500, unit="steps", when="stage", stage="stage", label="ERM steps", group=FEATURES,
        help="of round 0; so short that only the easiest feature is learned",
    )  # fmt: skip
    rounds: int = control(
        2, min=1, max=ROUNDS, when="stage", stage="stage", group=FEATURES,
        help="how many there are, round 0 included; 1: no discovery. Moved during the run, the last stage gets what "
        "the run has left",
    )  # fmt: skip
    discovery_steps: int = control(
        501, min=50, max=1000, unit="steps", when="stage", stage="stage", group=FEATURES,
        help="of each discovery round, and of synthesis",
    )  # fmt: skip
    synthesis: bool = control(
        True, when="stage", stage="stage", group=FEATURES,
        help="off: the last stage starts at the network of the last round, not at features of all",
    )  # fmt: skip
    resample: bool = control(
        True, when="stage", stage="stage", group=FEATURES,
        help="synthesis: half of the pool are pictures on which rounds disagree; off: the pictures as they are",
    )  # fmt: skip
    l2: float = control(0.0011, min=0, max=0.1, group=NETWORK, help="times the sum of all squared weights, biases too")
    hidden: int = control(64, min=2, max=1024, scale="log2", unit="units", when="launch", group=NETWORK,
                          help="of each of the two layers; 390 in the paper")  # fmt: skip
    pictures: str = control(
        "fashion_mnist", choices=("fashion_mnist", "mnist_5k"), when="launch", group=DATA,
        help="real grey pictures that are recoloured: digits (below 5 or not) or clothes (the first five or not)",
    )  # fmt: skip
    images: int = control(3000, min=20, max=50_000, scale="log", unit="pictures", when="launch", group=DATA,
                          help="both training environments together")  # fmt: skip
    e1: float = control(0.1, min=0, max=0.5, step=0.01, when="launch", label="colour flips 1", group=DATA,
                        help="how often colour contradicts the label in the first half")  # fmt: skip
    e2: float = control(0.2, min=0, max=0.5, step=0.01, when="launch", label="colour flips 2", group=DATA,
                        help="the same in the second half")  # fmt: skip
    label_noise: float = control(0.25, min=0, max=0.45, step=0.01, when="launch", group=DATA,
                                 help="how often the label contradicts the shape")  # fmt: skip
    evaluation: int = control(2000, min=20, max=20_000, scale="log", unit="pictures", when="launch", group=LOOK,
                              help="test pictures, in each of three colourings")  # fmt: skip
    evaluate_every: int = control(50, min=1, max=10_000, scale="log", unit="steps", group=LOOK,
                                  help="and at both ends of each stage")  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=5e-4))

    @property
    def length(self) -> int:
        """Steps of all stages, as launched."""
        before = self.erm_steps if self.start != "random" else 0
        if self.start == "rfc":
            before += (self.rounds - 1 + self.synthesis) * self.discovery_steps
        return before + self.steps

    def validate(self) -> None:
        """Refuse a start that never was trained; warn where colour says nothing or environments do not differ."""
        if self.start != "random" and not self.erm_steps:
            raise InvalidValue(
                f"start='{self.start}' needs erm_steps between 1 and 500; got 0. For untrained weights take "
                f"start='random'."
            )
        for name, e in (("e1", self.e1), ("e2", self.e2)):
            if e >= 0.5:
                warnings.warn(f"{name} = {e:g}: there colour says nothing about the label.", stacklevel=2)
        if self.e1 == self.e2:
            warnings.warn(
                f"e1 = e2 = {self.e1:g}: the environments do not differ, so no penalty can tell colour from shape.",
                stacklevel=2,
            )
