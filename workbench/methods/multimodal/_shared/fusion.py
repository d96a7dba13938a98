"""Late fusion: two features (B, d) to logits (B, C), and what each modality says alone through the same layers.

`readouts` is fusion with the other feature at 0, so that no parameter is added (ARL); for a sum it is each head.
`halves` splits the fused logits into two parts instead (OGM-GE: half of the bias each; of a sum each head).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Fusion(nn.Module):
    """Base: features `a` and `v` (B, d) to logits (B, C)."""

    def readouts(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of each alone: the other feature at 0."""
        return self(a, torch.zeros_like(v)), self(torch.zeros_like(a), v)

    def halves(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The part of the logits (B, C) that comes from each; where they have no parts, the read-outs."""
        return self.readouts(a, v)


class Concat(Fusion):
    """One linear layer over both features, ``W [f_a, f_v] + b``."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(2 * width, classes)

    def forward(self, a: Tensor, v: Tensor) -> Tensor:
        """Logits (B, C)."""
        return self.out(torch.cat([a, v], dim=1))

    def readouts(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """``W_m f_m + b`` each."""
        A, V = self.out.weight.chunk(2, dim=1)
        return F.linear(a, A, self.out.bias), F.linear(v, V, self.out.bias)

    def halves(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """``W_m f_m + b / 2`` each, which add up to the fused logits."""
        A, V = self.out.weight.chunk(2, dim=1)
        return F.linear(a, A, self.out.bias / 2), F.linear(v, V, self.out.bias / 2)


class Sum(Fusion):
    """A head each, added."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.a, self.v = nn.Linear(width, classes), nn.Linear(width, classes)

    def forward(self, a: Tensor, v: Tensor) -> Tensor:
        """Logits (B, C)."""
        return self.a(a) + self.v(v)

    def readouts(self, a: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Each head with its full bias; the halves are the same, as OGM-GE trains (it evaluates with half of it)."""
        return self.a(a), self.v(v)


class Gated(Fusion):
    """``W (sigmoid(U_a f_a) * U_v f_v) + b``: what v says, let through by a."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.a, self.v, self.out = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, classes)

    def forward(self, a: Tensor, v: Tensor) -> Tensor:
        """Logits (B, C)."""
        return self.out(torch.sigmoid(self.a(a)) * self.v(v))


FUSIONS: dict[str, Callable[[int, int], Fusion]] = {"concat": Concat, "sum": Sum, "gated": Gated}
