"""The knobs of experts/upscale."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cards import InvalidValue, control
from workbench.methods.experts._shared.knobs import BALANCE, NETWORK, ExpertsConfig

GROWTH = "Growth"


@dataclass
class Upscale(ExpertsConfig):
    """Knobs of growing a network in width and depth, and then into experts."""

    steps: int = control(
        900, min=1, max=10**7, scale="log", when="launch", fork=True, group="Run", help="training batches, all stages"
    )
    recipe: str = control(
        "grow", choices=("grow", "scratch"), when="launch", group=GROWTH,
        help="grow: small, grown, experts; scratch: the last of these from the first step on",
    )  # fmt: skip
    grow_at: int = control(
        300, min=1, max=10**7, scale="log", unit="steps", label="grow at", group=GROWTH,
        help="first step of the grown network; behind it a change does nothing",
    )  # fmt: skip
    experts_at: int = control(
        600, min=2, max=10**7, scale="log", unit="steps", label="experts at", group=GROWTH,
        help="first step of the mixture of experts; behind it a change does nothing",
    )  # fmt: skip
    width_rule: str = control(
        "aki", choices=("fpi", "aki", "random"), when="launch", label="width", group=GROWTH,
        help="fpi: copies, keeps the function; aki: added units from the next layer; random: padded with fresh weights",
    )  # fmt: skip
    depth_rule: str = control(
        "interpolate", choices=("stack", "interpolate", "zero_residual"), when="launch", label="depth", group=GROWTH,
        help="stack: layers 1 2 1 2; interpolate: 1 1 2 2; zero_residual: the same, new ones add nothing at first",
    )  # fmt: skip
    width_factor: float = control(
        2.0, min=1, max=4, step=0.5, when="launch", label="width factor", group=GROWTH,
        help="of model, hidden units and heads; only a whole one keeps what the norms see",
    )  # fmt: skip
    grown_layers: int = control(
        4, min=1, max=16, when="launch", label="grown layers", group=GROWTH, help="a multiple of layers"
    )
    expert_noise: float = control(
        0.0, min=0, max=0.1, when="launch", label="expert noise", group=GROWTH,
        help="added to the experts' weights, as a share of their spread",
    )  # fmt: skip
    lr_after: float = control(
        1.0, min=0.1, max=3, scale="log", label="rate after growth", group=GROWTH,
        help="times the learning rate, from the grown network on",
    )  # fmt: skip
    alpha: float = control(
        0.02, min=0, max=0.5, label="alpha", group=BALANCE, help="weight of the load-balancing loss of the whole batch"
    )
    experts: int = control(
        4, min=2, max=8, when="launch", group=NETWORK, help="feed-forward experts in a layer of the last network"
    )
    layers: int = control(2, min=1, max=8, when="launch", group=NETWORK, help="blocks of the small network")
    width: int = control(32, min=16, max=256, when="launch", group=NETWORK, help="of the small network")
    hidden: int = control(
        64, min=4, max=1024, scale="log2", when="launch", group=NETWORK, help="hidden units of the small network"
    )
    warmup: int = 20

    def grown(self, size: int) -> int:
        """That size of the small network in the grown one."""
        return round(size * self.width_factor)

    def validate(self) -> None:
        """Refuse growth that does not come out even, and stages out of order."""
        super().validate()
        for name in ("width", "hidden", "heads"):
            if (size := getattr(self, name) * self.width_factor) != int(size):
                raise InvalidValue(
                    f"width_factor must make whole {name} of {getattr(self, name)}; got {self.width_factor:g}, "
                    f"which makes {size:g}."
                )
        if self.grown_layers % self.layers:
            raise InvalidValue(
                f"grown_layers must be a multiple of layers ({self.layers}), or layers cannot be copied evenly; got "
                f"{self.grown_layers}."
            )
        if self.recipe == "grow" and not self.grow_at < self.experts_at < self.steps:
            raise InvalidValue(
                f"The stages must follow one another: grow_at < experts_at < steps; got {self.grow_at}, "
                f"{self.experts_at} and {self.steps}."
            )
