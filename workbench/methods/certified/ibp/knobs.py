"""The knobs of certified/ibp."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

from workbench.cards import Adam, Config, InvalidValue, Optimizer, control
from workbench.methods.certified.ibp.loss import coefficients, found

BALANCE, SCHEDULE, NETWORK, DATA = "ReLU balance and tightness", "Radius", "Network", "Data"
PICTURE, CERTIFICATE = "Picture", "Certificate"
VERIFIERS = ("ibp", "crown_ibp", "crown")  # of `verify`, which imports torch


@dataclass
class IBP(Config):
    """Knobs of certified training with interval bounds."""

    steps: int = control(
        4700, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches"
    )
    epsilon: float = control(
        0.1, min=0, max=0.4, step=0.005, unit="pixel", group=SCHEDULE,
        help="half-width of the box to certify. Moved during the ramp, eps runs on linearly to it; later it jumps",
        hint="Pixels reach from 0 to 1: 8/255 is written 0.0314.",
    )  # fmt: skip
    ramp_epochs: int = control(
        5, min=0, max=100, unit="epochs", when="stage", stage="epoch", group=SCHEDULE,
        help="epochs in which eps rises from 0 to epsilon; the first slider to try on an arm that collapses",
    )  # fmt: skip
    freeze_eps: bool = control(
        False, group=SCHEDULE, help="hold eps where it is (a lower epsilon still clamps it); released, it runs on"
    )
    ramp_mid: float = control(
        0.25, min=0, max=1, when="launch", group=SCHEDULE, help="share of the ramp that is exponential"
    )
    ramp_beta: float = control(4.0, min=2, max=8, when="launch", group=SCHEDULE, help="power of the exponential part")
    loss: str = control(
        "ibp", choices=tuple(found()), when="stage", stage="epoch", group="Loss",
        help="the robust loss, over the same box, initialisation, batch norm and regularisers",
    )  # fmt: skip
    losses: Any = field(default_factory=coefficients())
    kappa: float = control(
        0.0, min=0, max=1, step=0.01, group="Loss", help="share of clean cross-entropy in the loss (paper: 0)"
    )
    reg_weight: float = control(
        0.5, min=0, max=2, step=0.05, group=BALANCE, help="lambda; fades with the ramp as 1 - eps/epsilon"
    )
    tolerance: float = control(
        0.5, min=0.05, max=1, step=0.05, group=BALANCE, help="widths up to 1/tolerance, ratios from tolerance are free"
    )
    use_tightness: bool = control(True, group=BALANCE, help="penalise widths above 1/tolerance of the input's")
    use_balance: bool = control(True, group=BALANCE, help="penalise layers with far more dead than active ReLUs")
    network: str = control(
        "cnn7_narrow", choices=("cnn7_narrow", "cnn7", "wide_resnet", "own"), when="launch", group=NETWORK,
        help="cnn7: the published stride, six times the cost of cnn7_narrow; wide_resnet: one block a stage",
    )  # fmt: skip
    own_network: str = control(
        "", when="launch", group=NETWORK,
        help="package.module:function of (shape, classes) that returns an nn.Sequential ending in nn.Linear",
    )  # fmt: skip
    init: str = control(
        "ibp", choices=("default", "kaiming", "xavier", "orthogonal", "ibp"), when="launch", group=NETWORK,
        label="initialisation", help="ibp keeps the width of bounds from layer to layer (without batch norm)",
    )  # fmt: skip
    batch_norm: str = control(
        "full", choices=("none", "conv", "full"), when="launch", group=NETWORK,
        help="full: behind every hidden layer; conv: not behind the hidden linear layer",
    )  # fmt: skip
    width: int = control(
        8, min=4, max=64, scale="log2", unit="channels", when="launch", group=NETWORK, help="of the first layer"
    )
    grad_clip: float = control(
        10.0, min=0.1, max=100, scale="log", group="Optimiser", help="largest norm of the gradient"
    )
    milestone_1: int = control(
        80, min=1, max=10_000, unit="epoch", when="launch", group="Optimiser", help="the learning rate falls to a fifth"
    )
    milestone_2: int = control(
        90, min=1, max=10_000, unit="epoch", when="launch", group="Optimiser", help="and once more"
    )
    data: str = control(
        "fashion_mnist", choices=("fashion_mnist", "digits"), when="launch", group=DATA,
        help="Fashion-MNIST (28x28), or scikit-learn's digits at their own 8x8 with a first stride of 1",
    )  # fmt: skip
    train_images: int = control(
        6000, min=64, max=60_000, scale="log", when="launch", group=DATA, help="the first so many of the training set"
    )
    batch_size: int = control(
        128, min=2, max=1024, scale="log2", unit="images", when="stage", stage="epoch", group=DATA, help="images a step"
    )
    verifier: str = control(
        "crown_ibp", choices=VERIFIERS, group=CERTIFICATE,
        help="tightest verifier of the probe 'verifiers' and of the picture; crown takes about a second an image",
    )  # fmt: skip
    picture_image: int = control(0, min=0, max=9999, group=PICTURE, help="which image of the probe is looked at")
    picture_eps: float = control(
        0.1, min=0, max=0.4, step=0.005, unit="pixel", group=PICTURE,
        help="half-width of its box: local to the picture, trains nothing",
    )  # fmt: skip
    optimizer: Optimizer = field(default_factory=lambda: Adam(lr=5e-4))
    probe_images: int = 500
    probe_attack_steps: int = 20
    verify_images: int = 100
    epoch_images: int = 2000
    final_images: int = 10_000

    def validate(self) -> None:
        """Refuse milestones out of order and an own network without its name; warn of a ramp longer than training."""
        if self.milestone_2 <= self.milestone_1:
            raise InvalidValue(
                f"milestone_2 must come after milestone_1; got {self.milestone_2} and {self.milestone_1} epochs."
            )
        if (self.network == "own") != bool(self.own_network):
            raise InvalidValue(
                f"network='own' and own_network go together; got network='{self.network}' and "
                f"own_network='{self.own_network}'."
            )
        needed = self.ramp_epochs * -(-self.train_images // self.batch_size)
        if needed > self.steps:
            warnings.warn(
                f"The ramp takes about {needed} steps and training ends after {self.steps}: eps never reaches epsilon "
                f"= {self.epsilon:g}. The certified error is reported at epsilon all the same.",
                stacklevel=2,
            )
