"""The knobs of experts/scale_adapter."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, NETWORK, ExpertsConfig


@dataclass
class ScaleAdapter(ExpertsConfig):
    """Knobs of experts that are copies of a dense network, and of what weighs them."""

    steps: int = control(
        700, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches, both stages"
    )
    dense_steps: int = control(
        300, min=0, max=10**7, scale="log", when="launch", group="Run", label="dense steps",
        help="batches that the dense network is trained on before it is copied",
    )  # fmt: skip
    variant: str = control(
        "adamoe", choices=("dense", "vanilla", "adamoe", "csmoe"), when="launch", group=NETWORK,
        help="what weighs the chosen experts: vanilla: their probability; adamoe: that plus an adapter's output; "
        "csmoe: the softmax of another layer that sees input and probabilities; dense: no experts, the network goes on",
    )  # fmt: skip
    experts: int = control(4, min=2, max=64, scale="log2", when="launch", group=NETWORK, help="copies of the network")
    top_k: int = control(
        2, min=1, max=4, when="launch", label="top k", group=NETWORK, help="experts that each byte goes to"
    )
    alpha: float = control(
        0.1, min=0, max=0.5, label="alpha", group=BALANCE, help="weight of the load-balancing loss of the whole batch"
    )
    router_lr_mult: float = control(
        2.0, min=0.1, max=10, scale="log", label="router's rate", group=NETWORK,
        help="times the learning rate, for what selects",
    )  # fmt: skip
    adapter_lr_mult: float = control(
        1.0, min=0.1, max=10, scale="log", label="adapter's rate", group=NETWORK,
        help="times the learning rate, for what weighs",
    )  # fmt: skip
    noise_std: float = control(
        0.0, min=0, max=0.1, when="launch", label="noise", group=NETWORK,
        help="standard deviation of normal noise on the copies' weights, which are themselves near 0.1",
    )  # fmt: skip
    renormalise_init: bool = control(
        True, when="launch", label="keep the scale at the start", group=NETWORK,
        help="multiply the copies' output matrices by experts / top_k, since the weights add up to top_k / experts",
    )  # fmt: skip
    router_std: float = control(
        0.006, min=0, max=5, when="launch", label="router's initial spread", group=NETWORK,
        help="standard deviation of the initial weights of router and adapter",
    )  # fmt: skip
    warmup: int = 20

    def validate(self) -> None:
        """Refuse a run that never reaches the experts."""
        super().validate()
        if self.variant != "dense" and self.dense_steps >= self.steps:
            raise InvalidValue(
                f"dense_steps must be less than steps, or nothing is copied; got {self.dense_steps} of {self.steps}."
            )
