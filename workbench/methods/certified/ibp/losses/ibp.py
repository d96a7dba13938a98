"""IBP: cross-entropy of the interval bounds of the margins (Gowal et al. 2018, arXiv 1810.12715)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from workbench.methods.certified.ibp.loss import Loss

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene


@dataclass
class Ibp(Loss):
    """An upper bound of the worst case in the box."""

    title: ClassVar[str] = "IBP"

    def value(self, scene: Scene) -> Tensor:
        """See `Loss.value`."""
        return scene.bounds.robust_loss()


LOSS = Ibp
