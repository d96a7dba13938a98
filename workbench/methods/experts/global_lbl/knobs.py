"""The knobs of experts/global_lbl."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, TEXT, ExpertsConfig


@dataclass
class GlobalLbl(ExpertsConfig):
    """Knobs of load balancing over groups of sequences."""

    balance_group: int = control(
        32, min=1, max=1024, scale="log2", unit="sequences", label="balance group", group=BALANCE,
        help="sequences over which load and probabilities are taken; 1 is micro-batch balancing, the batch size "
        "global. Must divide the batch",
    )  # fmt: skip
    alpha: float = control(
        0.02, min=0, max=0.5, label="alpha", group=BALANCE,
        help="weight of the balancing loss. A larger group presses less: alpha and group are not interchangeable",
    )  # fmt: skip
    balancing: str = control(
        "loss", choices=("loss", "bias"), group=BALANCE,
        help="loss: by gradient; bias: move a selection bias by a fixed amount against each expert's load, no loss",
    )  # fmt: skip
    u: float = control(
        1e-3, min=1e-5, max=0.1, scale="log", label="u", group=BALANCE, help="by how much a step moves a selection bias"
    )
    counts: str = control(
        "group", choices=("group", "accumulated"), group=BALANCE,
        help="group: each group's own load; accumulated: that of all groups so far, as under gradient accumulation",
    )  # fmt: skip
    lbl_tokens: str = control(
        "all", choices=("all", "shuffled"), label="tokens", group=BALANCE,
        help="shuffled: the loss of random bytes of the whole batch, as many as one group has: diverse, not large",
    )  # fmt: skip
    batch_mix: str = control(
        "mixed", choices=("mixed", "pure"), label="batch", when="stage", stage="round", group=TEXT,
        help="pure: all sequences of a step from one domain, domains in turn: large, not diverse",
    )  # fmt: skip

    def validate(self) -> None:
        """Refuse groups that do not divide the batch; warn where there is nothing to balance."""
        super().validate()
        if self.batch_size % self.balance_group:
            raise InvalidValue(
                f"balance_group must divide batch_size; got groups of {self.balance_group} in batches of "
                f"{self.batch_size} sequences."
            )
        if self.top_k == self.experts:
            warnings.warn(
                f"Every byte goes to all {self.experts} experts (top_k = experts): there is nothing to balance.",
                stacklevel=2,
            )
