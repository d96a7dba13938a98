"""What norm layers are told about the batch they see: which task each image is from, and the live settings.

One `NormContext` is shared by all converted layers of a model. The authors' layer keeps the composition as an attribute
that survives the step, so that a later forward with another batch size fails deep inside; here it holds inside one
`with` block, is cleared behind it, and a mismatch is refused in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue


@dataclass
class Batch:
    """One training forward: what goes in, and what the layers leave behind.

    Attributes:
        size: images in the batch.
        tasks: (B,) int64, the task of each image; None: unknown.
        current: index of the newest task.
        counts: (current+1,) images of each task; None: unknown.
        gaps: of each layer, the statistics loss (scalar, with gradient).
        shares: of each layer with running statistics, (current+1,) the weight that each task's images had in them.
        etas: of each of them, the step size of its window.
    """

    size: int
    tasks: Tensor | None
    current: int
    counts: Tensor | None = None
    gaps: list[Tensor] = field(default_factory=list)
    shares: list[Tensor] = field(default_factory=list)
    etas: list[float | Tensor] = field(default_factory=list)

    def gap(self) -> Tensor:
        """Sum of the layers' statistics losses; 0 without such a layer."""
        return torch.stack(self.gaps).sum() if self.gaps else torch.zeros(())

    def note(self, share: Tensor | None, eta: float | Tensor) -> None:
        """A layer moved its window by `eta` towards statistics in which the tasks weigh `share`."""
        self.etas.append(eta)
        if share is not None:
            self.shares.append(share.detach())


class NormContext:
    """Settings and the present batch, for every norm layer of one model; settings may change between steps.

    Args:
        tasks: how many the stream will have (T).
        kappa: 0 … 1, how fast the window of AdaB2N forgets (0: cumulative average, 1: torch's momentum).
        momentum: above 0 and at most 1; None: that of each replaced layer.
        renormalise: divide the sample weights by their sum where a seen task is absent (ours; the authors' do not).
        groups: of GroupNorm and continual normalisation.

    Raises `InvalidValue` for anything outside that.
    """

    def __init__(
        self,
        tasks: int,
        *,
        kappa: float = 0.4,
        momentum: float | None = None,
        renormalise: bool = False,
        groups: int = 8,
    ) -> None:
        if tasks < 1:
            raise InvalidValue(f"The number of tasks must be at least 1; got {tasks}.")
        if groups < 1:
            raise InvalidValue(f"groups must be at least 1; got {groups}.")
        self.tasks, self.groups = tasks, groups
        self.now: Batch | None = None
        self.configure(kappa=kappa, momentum=momentum, renormalise=renormalise)

    def configure(self, *, kappa: float, momentum: float | None, renormalise: bool) -> None:
        """Change the live settings. Raises `InvalidValue` for a value out of range."""
        if not 0 <= kappa <= 1:
            raise InvalidValue(f"kappa must lie between 0 and 1; got {kappa}.")
        if momentum is not None and not 0 < momentum <= 1:
            raise InvalidValue(f"momentum must lie above 0 and at most 1; got {momentum}.")
        self.kappa, self.momentum, self.renormalise = kappa, momentum, renormalise

    @contextmanager
    def batch(self, tasks: Tensor | None, current: int, *, size: int | None = None) -> Iterator[Batch]:
        """Inside, layers in train mode know the batch: `tasks` (B,) of its images (None: unknown), `current` task.

        Raises `InvalidValue` for a task above `current` or below 0, and for `current` outside the T tasks.
        """
        if not 0 <= current < self.tasks:
            raise InvalidValue(
                f"The current task is {current}, but the norm layers were made for tasks 0 to {self.tasks - 1}. "
                "Convert the model again with the stream's number of tasks."
            )
        counts = None
        if tasks is not None and len(tasks):
            low, high = int(tasks.min()), int(tasks.max())
            if low < 0 or high > current:
                raise InvalidValue(
                    f"The batch holds an image of task {low if low < 0 else high}; while task {current} is trained, "
                    f"tasks must lie between 0 and {current}."
                )
            counts = torch.bincount(tasks, minlength=current + 1)
        self.now = Batch(len(tasks) if tasks is not None else size or -1, tasks, current, counts)
        try:
            yield self.now
        finally:
            self.now = None

    def checked(self, size: int) -> Batch | None:
        """The present batch, for a layer whose input has `size` images; refuses one that was announced otherwise."""
        now = self.now
        if now is not None and now.size not in (-1, size):
            raise InvalidValue(
                f"A norm layer in train mode received {size} images, but the batch was announced with {now.size}. "
                "Run every forward of another batch in a `context.batch(…)` of its own, or in eval mode."
            )
        return now


def next_eta(eta: float | Tensor, momentum: float, kappa: float) -> float | Tensor:
    """Step size after `eta`: eta / (eta + (1-m)^kappa).

    With the first step `first_eta` that is the authors' recursion for 0 < kappa < 1, and in exact arithmetic it is
    their two special cases as well: 1/n for kappa = 0, m for kappa = 1. Its fixed point is `fixed_eta`.
    """
    return eta / (eta + (1 - momentum) ** kappa)


def first_eta(momentum: float, kappa: float) -> float:
    """Step size of the first batch: m^kappa."""
    return float(momentum**kappa)


def fixed_eta(momentum: float, kappa: float) -> float:
    """Where `next_eta` ends: 1 - (1-m)^kappa; 1/fixed_eta is the window's length in batches."""
    return float(1 - (1 - momentum) ** kappa)
