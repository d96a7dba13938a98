"""The knobs of imbalance/kernel_balancing."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.imbalance.kernel_balancing.names import BALANCES, BASES, CHOICES, KERNELS

WORLD, WEIGHTS, MODEL = "World", "Weights", "Recommender"


@dataclass
class Balancing(Config):
    """Knobs of the laboratory of missing ratings."""

    steps: int = control(
        300, min=1, max=10**6, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    mnar_strength: float = control(
        2.0, min=0, max=4, when="launch", label="selection strength", group=WORLD,
        help="how much likelier a liked film is rated (log odds); 0: ratings are missing whether liked or not",
    )  # fmt: skip
    density: float = control(0.1, min=0.01, max=0.5, scale="log", when="launch", group=WORLD,
                             help="share of the pairs that are rated")  # fmt: skip
    users: int = control(200, min=10, max=943, unit="people", when="launch", group=WORLD, help="the most active ones")
    items: int = control(300, min=10, max=1682, unit="films", when="launch", group=WORLD, help="the most rated ones")
    base: str = control(
        "naive_bayes", choices=BASES, label="base weight", group=WEIGHTS,
        help="1 / propensity: none; by the label (naive Bayes, needs a few evenly drawn labels); logistic on features; "
        "the true one",
    )  # fmt: skip
    balance: str = control(
        "dual", choices=BALANCES, label="balancing", group=WEIGHTS,
        help="none; dual: each kernel function on its own; alternating: the authors' steps of a weight model",
    )  # fmt: skip
    kernel: str = control("gaussian", choices=KERNELS, group=WEIGHTS, help="exp(-d^2 / 2 w^2), or laplace exp(-d / w)")
    bandwidth: float = control(0.5, min=0.1, max=3, scale="log", group=WEIGHTS,
                               help="width of a kernel over the median distance")  # fmt: skip
    n_basis: int = control(64, min=1, max=256, scale="log2", label="functions", group=WEIGHTS,
                           help="kernel functions to balance (J)")  # fmt: skip
    basis_choice: str = control(
        "random", choices=CHOICES, label="which functions", group=WEIGHTS,
        help="at random pairs; worst: the least balanced; adaptive: those that explain the recommender's error",
    )  # fmt: skip
    slack: float = control(1e-3, min=1e-4, max=0.1, scale="log", group=WEIGHTS,
                           help="difference of means that is let be (C)")  # fmt: skip
    weight_clip: float = control(0.995, min=0.9, max=1, group=WEIGHTS, label="clip weights at",
                                 help="quantile above which weights are cut; 1: none are")  # fmt: skip
    sum_over_basis: bool = control(
        True, label="one hinge for all", group=WEIGHTS,
        help="alternating: as released, deviations are summed first, so that opposite ones cancel",
    )  # fmt: skip
    estimator: str = control("ips", choices=("ips", "dr"), group=MODEL,
                             help="weighted errors, or doubly robust with an imputation model")  # fmt: skip
    dimensions: int = control(4, min=1, max=64, scale="log2", when="launch", group=MODEL,
                              help="of the recommender's vectors")  # fmt: skip
    penalty: float = control(0.5, min=0, max=3, group=MODEL, help="on the squares of the vectors")
    batch_size: int = control(1024, min=8, max=65536, scale="log2", unit="ratings", group=MODEL, help="a step")
    every: int = control(20, min=1, max=10_000, scale="log", unit="steps", group=MODEL, label="look every",
                         help="steps between evaluations on evenly drawn pairs")  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=0.02))

    def validate(self) -> None:
        """Refuse more functions than pairs, and a world in which nobody would rate."""
        if self.n_basis > self.users * self.items:
            raise InvalidValue(
                f"n_basis must be at most the {self.users * self.items} pairs of {self.users} people and {self.items} "
                f"films; got {self.n_basis}."
            )
        if self.density * self.users * self.items < 50:
            raise InvalidValue(
                f"Only about {self.density * self.users * self.items:.0f} pairs would be rated. Take more people, more "
                "films or a higher density: at least 50 ratings are needed."
            )
