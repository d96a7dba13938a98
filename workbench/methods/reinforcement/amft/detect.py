"""What goes wrong between imitation and exploration: one is forgotten, one crowds out the other, or they pull apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.detectors.quantities import Lasting

__all__ = ["ForgettingInRl", "GradientConflict", "ImitationLock"]


class ForgettingInRl(Lasting):
    """The loss on held-out traces lies a fifth or more above its lowest, twice in a row."""

    id = "forgetting_in_rl"
    title = "Forgetting in RL"
    quantities = ("nll_rise",)
    also = {"nll_rise": ("nll_rise",)}  # noqa: RUF012 (declared a ClassVar by the base)
    told = quantities
    remedy = "Keep some weight on imitation: a larger mu, or a controller from the point where it began."
    lasting = 2
    patience = 1
    RISE = 0.2

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        rise = seen["nll_rise"]
        return {"bad": rise, "rise": rise} if rise >= self.RISE else {}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        rise = self.evidence["rise"]
        sentence = f"The loss on the teacher's held-out traces is {rise:.0%} above its lowest"
        return sentence, "serious" if rise >= 1 else "warning"


class ImitationLock(Lasting):
    """mu stays above 0.9 for 30 steps while the reward does not rise."""

    id = "imitation_lock"
    title = "Imitation lock"
    quantities = ("mixing_weight", "reward")
    also = {"mixing_weight": ("mixing_weight",)}  # noqa: RUF012 (declared a ClassVar by the base)
    told = quantities
    remedy = "Lower mu, or its upper bound; a controller's rate for entropy may be too high, or its target too low."
    lasting = 1  # the window below is the streak
    patience = 1
    STEPS = 30
    MU = 0.9
    FLAT = 0.02  # rise of the reward's mean from the first to the last third of the window

    def __init__(self) -> None:
        super().__init__()
        self.rewards: list[float] = []  # while mu is high

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        if not {"mixing_weight", "reward"} <= seen.keys():
            return None
        mu = seen["mixing_weight"]
        if mu <= self.MU:
            self.rewards = []
            return {}
        self.rewards = [*self.rewards, seen["reward"]][-self.STEPS :]
        if len(self.rewards) < self.STEPS:
            return {}
        third = self.STEPS // 3
        rise = (sum(self.rewards[-third:]) - sum(self.rewards[:third])) / third
        return {"bad": mu, "mu": mu, "rise": rise} if rise <= self.FLAT else {}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        mu, rise = self.evidence["mu"], self.evidence["rise"]
        return (
            f"mu has been above {self.MU} ({mu:.2f}) for {self.STEPS} steps and reward moved by {rise:+.3f}",
            "warning",
        )

    def memory(self) -> dict[str, Any]:
        """As `Lasting.memory`."""
        return {**super().memory(), "rewards": list(self.rewards)}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Lasting.remember`."""
        super().remember(state)
        self.rewards = list(state["rewards"])


class GradientConflict(Lasting):
    """The gradients of imitation and reinforcement have a cosine below -0.2 for 10 steps."""

    id = "gradient_conflict"
    title = "Gradient conflict"
    quantities = ("gradient_cosine",)
    also = {"gradient_cosine": ("gradient_cosine",)}  # noqa: RUF012 (declared a ClassVar by the base)
    told = quantities
    remedy = "What the traces teach is what reward unlearns: better traces, or a mu nearer to one of its ends."
    lasting = 10
    patience = 5
    BELOW = -0.2

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        found = seen["gradient_cosine"]
        return {"bad": -found, "cosine": found} if found < self.BELOW else {}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        found = self.evidence["cosine"]
        return f"Imitation and reinforcement pull apart: their gradients' cosine is {found:.2f}", "warning"
