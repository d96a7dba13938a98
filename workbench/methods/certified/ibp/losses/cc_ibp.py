"""CC-IBP: cross-entropy of mixed margins, alpha * intervals + (1 - alpha) * attack (De Palma et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.methods.certified.ibp.loss import Mixed, portion, search_steps

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class CcIbp(Mixed):
    """Mixes the margins."""

    title: ClassVar[str] = "CC-IBP"
    alpha: float = portion(0.6, "CC-IBP", "share of the interval margins: 1 is IBP, 0 adversarial training")
    attack_steps: int = search_steps(1, "CC-IBP")

    def mix(self, scene: Scene, certified: Tensor, attacked: Tensor) -> Tensor:
        """See `Mixed.mix`."""
        return scene.cross_entropy(self.alpha * certified + (1 - self.alpha) * attacked)


LOSS = CcIbp
