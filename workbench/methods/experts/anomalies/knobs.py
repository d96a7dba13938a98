"""The knobs of experts/anomalies."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench.cards import Guard, Optimizer, control
from workbench.methods.experts._shared.knobs import BALANCE, NETWORK, Bytes, ExpertsConfig

ANOMALIES = "Anomalies"
KINDS = ("none", "noise", "wide", "moments", "gradient")  # a signal tells the place in this list


def _watching() -> Guard:
    return Guard(handler="watch")


def _fast() -> Optimizer:
    return Bytes(lr=6e-3)


@dataclass
class Anomalies(ExpertsConfig):
    """Knobs of injected anomalies and of what makes a run withstand them."""

    inject: str = control(
        "all", choices=("all", *KINDS), label="inject", group=ANOMALIES,
        help="noise: a batch of random bytes; wide: six in a row; moments: the optimizer's second moments a hundredth; "
        "gradient: 50 times as large; all: in turn",
    )  # fmt: skip
    every: int = control(
        60, min=20, max=10**5, scale="log", unit="steps", label="every", group=ANOMALIES,
        help="one anomaly in each stretch of so many steps, but the first, at the seed's place in its first quarter",
    )  # fmt: skip
    grad_clip: float = control(
        1.0, min=0, max=100, label="clip the gradient at", group=ANOMALIES, help="norm of all of it; 0: no limit"
    )
    alpha: float = control(
        0.015, min=0, max=0.5, label="alpha", group=BALANCE, help="weight of the load-balancing loss, mean over layers"
    )
    z_coef: float = control(
        1e-4, min=0, max=0.1, label="z-loss", group=BALANCE, help="weight of the router's z-loss, which limits logits"
    )
    router_warmup: int = control(
        0, min=0, max=500, unit="steps", label="stochastic routing", group=NETWORK,
        help="for so many steps router logits are mixed with noise of their own mean and spread, ever less; 0: never",
    )  # fmt: skip
    norm_head: bool = control(
        False, label="NormHead", when="launch", group=NETWORK, help="divide each column of the head by its norm"
    )
    optimizer: Optimizer = field(default_factory=_fast)
    guard: Guard = field(default_factory=_watching)
