"""SABR: interval bounds of a small box around an attack's point (Mueller et al. 2023, arXiv 2210.04871)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.cards import control
from workbench.methods.certified.ibp.loss import Loss, portion, search_steps

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class Sabr(Loss):
    """The small box lies inside the full one; batch norm keeps the statistics of the clean images.

    CTBench searches 5 steps from 3 starts; ours are 3 from one, for a CPU.
    """

    title: ClassVar[str] = "SABR"
    moved_by: ClassVar[str] = "shrink"
    shrink: float = portion(0.7, "SABR", "width of the small box: 1 is IBP, 0 adversarial training")
    attack_steps: int = search_steps(3, "SABR")
    restarts: int = control(1, min=1, max=10, group="Loss", label="SABR restarts", help="random starts of its attack")

    def value(self, scene: Scene) -> Tensor:
        """See `Loss.value`."""
        if self.shrink < 1:
            points = scene.attack(steps=self.attack_steps, restarts=self.restarts)
            scene.propagate(scene.box.around(points, self.shrink))
        return scene.bounds.robust_loss()


LOSS = Sabr
