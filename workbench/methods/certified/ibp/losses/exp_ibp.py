"""Exp-IBP: CE(intervals)^alpha CE(attack)^(1 - alpha) (De Palma et al. 2024, arXiv 2305.13991)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.methods.certified.ibp.loss import Mixed, portion, search_steps

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class ExpIbp(Mixed):
    """Mixes the logarithms of the losses."""

    title: ClassVar[str] = "Exp-IBP"
    alpha: float = portion(0.6, "Exp-IBP", "exponent of the interval loss: 1 is IBP, 0 adversarial training")
    attack_steps: int = search_steps(1, "Exp-IBP")

    def mix(self, scene: Scene, certified: Tensor, attacked: Tensor) -> Tensor:
        """See `Mixed.mix`."""
        # an attack that loses nothing (0) would send 0 * inf into the gradient
        attack = scene.cross_entropy(attacked).clamp_min(1e-12)
        return scene.cross_entropy(certified) ** self.alpha * attack ** (1 - self.alpha)


LOSS = ExpIbp
