"""MTL-IBP: alpha CE(intervals) + (1 - alpha) CE(attack) (De Palma et al. 2024, arXiv 2305.13991)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.methods.certified.ibp.loss import Mixed, portion, search_steps

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class MtlIbp(Mixed):
    """Mixes the losses; the paper's CIFAR-10 8/255 setting is alpha 0.6, one attack step."""

    title: ClassVar[str] = "MTL-IBP"
    alpha: float = portion(0.6, "MTL-IBP", "share of the interval loss: 1 is IBP, 0 adversarial training")
    attack_steps: int = search_steps(1, "MTL-IBP")

    def mix(self, scene: Scene, certified: Tensor, attacked: Tensor) -> Tensor:
        """See `Mixed.mix`."""
        return self.alpha * scene.cross_entropy(certified) + (1 - self.alpha) * scene.cross_entropy(attacked)


LOSS = MtlIbp
