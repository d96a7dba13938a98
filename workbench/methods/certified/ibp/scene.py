"""One batch as a certified loss sees it: images, their box, its bounds, and attacks; each computed once, when asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.methods.certified.ibp import interval
from workbench.methods.certified.ibp.attack import Frozen, strongest
from workbench.methods.certified.ibp.boxes import Box, box_around

Attack = Callable[["Scene", int, int], Tensor]


class Scene:
    """What a loss may ask of a batch.

    Args:
        images: (B, …) in [0, 1]; labels (B,).
        eps: radius of the box now; target: the one it is going to.
        generator: makes the random state of an attack's starts; None: torch's own.
        attacker: finds points (B, …) from (scene, steps, restarts); None: `strongest` in the full box.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Tensor,
        labels: Tensor,
        eps: float,
        target: float,
        *,
        generator: Callable[[], torch.Generator | None] = lambda: None,
        attacker: Attack | None = None,
    ) -> None:
        self.network, self.images, self.labels = network, images, labels
        self.eps, self.target, self.generator = eps, target, generator
        self.attacker = attacker or _in_the_box
        self.box = box_around(images, eps)
        self._bounds: interval.Bounds | None = None

    @property
    def progress(self) -> float:
        """eps / target: from 0 where the ramp begins to 1."""
        return min(1.0, self.eps / self.target) if self.target > 0 else 1.0

    @property
    def bounds(self) -> interval.Bounds:
        """Interval bounds of the full box, or of the one that `propagate` was given before."""
        return self._bounds or self.propagate(self.box)

    def propagate(self, box: Box) -> interval.Bounds:
        """Interval bounds of another box; once a batch, since batch norm's running values move with it."""
        if self._bounds is not None:
            raise RuntimeError("This batch has been propagated already: propagate before asking for bounds.")
        self._bounds = interval.propagate(self.network, box, self.labels)
        return self._bounds

    @cached_property
    def frozen(self) -> Frozen:
        """The network as a fixed function, batch norm at the statistics of this batch while it trains."""
        return Frozen(self.network, self.images)

    def attack(self, *, steps: int, restarts: int = 1) -> Tensor:
        """Points (B, …) of the full box with a great cross-entropy."""
        return self.attacker(self, steps, restarts)

    def margins_at(self, points: Tensor) -> Tensor:
        """(B, C) margins logit_y - logit_j at points of the box, with their gradient."""
        return interval.margins_of(self.bounds.at(points), self.labels)

    def cross_entropy(self, margin: Tensor) -> Tensor:
        """Of [0, -margins] with class 0 (the zero stands in column y), mean over the batch."""
        return F.cross_entropy(-margin, self.labels)


def _in_the_box(scene: Scene, steps: int, restarts: int) -> Tensor:
    def height(points: Tensor) -> Tensor:
        return F.cross_entropy(scene.frozen(points), scene.labels, reduction="none")

    return strongest(height, scene.box, steps=steps, restarts=restarts, generator=scene.generator())
