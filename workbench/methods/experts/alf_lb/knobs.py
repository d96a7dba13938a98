"""The knobs of experts/alf_lb."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, LOOK, NETWORK, ExpertsConfig

RULES = ("sign", "constant", "inv_sqrt_n", "inv_n")  # as in `dual`, which imports torch


@dataclass
class AlfLb(ExpertsConfig):
    """Knobs of balancing by a selection bias."""

    alpha: float = control(
        0.02, min=0, max=0.5, label="alpha", group=BALANCE, help="weight of the balancing loss, where there is one"
    )
    balancing: str = control(
        "bias", choices=("bias", "global", "micro", "none"), group=BALANCE,
        help="bias: of the selection; global and micro: a loss over the batch or every sequence; none: leave it",
    )  # fmt: skip
    rule: str = control(
        "sign", choices=RULES, when="stage", stage="round", group=BALANCE,
        help="sign: by u; constant: by u times the missing load as a share of the bytes; inv_sqrt_n, inv_n: that over "
        "√n or n, n updates since the rule is in force. A round is 25 steps",
    )  # fmt: skip
    u: float = control(
        1e-3, min=1e-5, max=10, scale="log", label="u", group=BALANCE,
        help="step size of the bias. Softmax scores are near 1/experts, sigmoid ones near 1/2: it counts against those",
    )  # fmt: skip
    freeze_bias: bool = control(False, label="freeze the bias", group=BALANCE, help="leave it where it is")
    score: str = control(
        "softmax", choices=("softmax", "sigmoid"), when="launch", group=NETWORK,
        help="what selection ranks and weights are made of",
    )  # fmt: skip
    mode: str = control(
        "model", choices=("model", "router"), when="launch", group=LOOK,
        help="router: no model and no training; 512 tokens with fixed scores under all four rules at once",
    )  # fmt: skip
    pace: float = control(
        1.0, min=0.01, max=100, scale="log", label="pace of the rules", group=LOOK,
        help="mode router: factor on the rules' step sizes (sign .01, constant .5, inv_sqrt_n 1, inv_n 2)",
    )  # fmt: skip

    def validate(self) -> None:
        """Refuse fewer slots than experts; warn where there is nothing to balance."""
        super().validate()
        if self.batch_size * self.length * self.top_k < self.experts:
            raise InvalidValue(
                f"batch_size times length times top_k must be at least the {self.experts} experts; got "
                f"{self.batch_size} × {self.length} × {self.top_k}."
            )
        if self.top_k == self.experts:
            warnings.warn(
                f"Every byte goes to all {self.experts} experts (top_k = experts): there is nothing to balance.",
                stacklevel=2,
            )
