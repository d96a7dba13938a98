"""TAPS: intervals through the first layers, an attack inside their box through the rest (Mao et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.cards import control
from workbench.methods.certified.ibp.loss import Loss, portion, search_steps

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class Taps(Loss):
    """CE(attack in the latent box) CE(intervals); the attack's gradient counts `scale` times.

    The box's ends get the attack points' gradient by a rectified linear link, see `latent`. CTBench trains its ramp on
    IBP alone; here the loss is in force from the first step with eps > 0 (start with loss=ibp for the other).
    Source: arXiv 2305.04574, equations by eth-sri/CTBench.
    """

    title: ClassVar[str] = "TAPS"
    moved_by: ClassVar[str] = "scale"
    split: int = control(
        5, min=1, max=64, unit="ReLUs", group="Loss", label="TAPS split",
        help="ReLU layers in the interval part; 5 of CNN-7's 6 is the paper's 17+4 layers. At most all there are",
    )  # fmt: skip
    scale: float = control(
        2.0, min=0.1, max=10, scale="log", group="Loss", label="TAPS gradient scale",
        help="weight of the attack's gradient against that of the intervals (CTBench: 2 to 5)",
    )  # fmt: skip
    link: float = portion(0.5, "TAPS link", "share of the box, from either end, that passes a gradient to that end")
    attack_steps: int = search_steps(3, "TAPS")

    def value(self, scene: Scene) -> Tensor:
        """See `Loss.value`."""
        from workbench.methods.certified.ibp import latent

        margin = latent.attacked_margins(
            scene, split=self.split, link=self.link, steps=self.attack_steps, generator=scene.generator()
        )
        attacked = latent.louder(scene.cross_entropy(margin), self.scale)
        return attacked * scene.bounds.robust_loss()


LOSS = Taps
