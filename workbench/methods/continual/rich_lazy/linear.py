"""Two-layer linear student y = w2 W1 x and its teacher beta x, white inputs: the rule and its exception.

Gradient descent on the population loss |w2 W1 - beta|^2; the second layer starts at zero, so that the first step's
kernel is W1^T W1. The kernel is that of both layers, on the unit vectors as inputs: |w2|^2 I + W1^T W1.

A student of rank R has R hidden units. With more it would be the same student in exact arithmetic, as gradients never
leave the span of W1's columns; but the other units sit on a saddle, and what rounding puts there grows exponentially:
at rank 1 the kernel alignment then reads .04 in exact arithmetic, .61 in float64 and .90 in float32 (10 seeds).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual.rich_lazy import initial
from workbench.methods.continual.rich_lazy.knobs import RichLazy


class Student(nn.Module):
    """`weight` W1 (h, d), `outside` w2 (h,)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight, self.outside = nn.Parameter(weight.clone()), nn.Parameter(torch.zeros(len(weight)).to(weight))

    def kernel(self) -> Tensor:
        """(d, d)."""
        W, w = self.weight.detach(), self.outside.detach()
        return w @ w * torch.eye(W.shape[1]).to(W) + W.T @ W

    def loss(self, teacher: Tensor) -> Tensor:
        """Of the population, for a teacher (d,)."""
        return (self.outside @ self.weight - teacher).square().sum()


def draw(
    width: int, rank: int, generator: torch.Generator, *, sigma: float = 1.0, angle: float | None = None
) -> tuple[Student, Tensor]:
    """A student of `width` inputs and rank `rank`, and its teacher of length 1.

    W1 is Gaussian, cut to its rank at equal norm; with an `angle` it is of rank one and that far from the teacher.
    """
    teacher = torch.randn(width, generator=generator)
    teacher = teacher / teacher.norm()
    full = initial.gaussian(width, width, sigma, generator)
    low = initial.cut(full, rank) if angle is None else initial.aligned(full, teacher, angle, generator)
    _, s, Vt = torch.linalg.svd(low)
    rank = rank if angle is None else 1
    return Student(s[:rank, None] * Vt[:rank]), teacher


class Linear:
    """See `Setting`."""

    noise = 0.0

    def __init__(self, config: RichLazy, session: SessionProtocol) -> None:
        angle = config.angle if config.init == "aligned" else None
        generator = session.torch_rng("init", "network")
        self.network, self.teacher = draw(config.hidden, config.rank, generator, sigma=config.sigma, angle=angle)

    @property
    def weight(self) -> nn.Parameter:
        """See `Setting`."""
        return self.network.weight

    def loss(self, step: int, rule: int) -> Tensor:
        """Of the population."""
        return self.network.loss(self.teacher)

    def states(self) -> tuple[Tensor, Tensor]:
        """Hidden activities on the unit vectors (d, h)."""
        hidden = self.weight.detach().T
        return hidden, hidden

    def kernel(self) -> Tensor:
        """See `Student.kernel`."""
        return self.network.kernel()

    def accuracy(self, rule: int) -> None:
        """Nothing is classified."""
        return

    def colours(self) -> np.ndarray:
        """The teacher's answers."""
        return self.teacher.numpy()


def build(config: RichLazy, session: SessionProtocol) -> Linear:
    """See `settings.build`."""
    return Linear(config, session)
