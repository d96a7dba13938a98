"""The rectified recurrent network without biases: h <- relu((1-a) h + a (x W_in^T + h W^T)), output h W_out^T."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class RNN(nn.Module):
    """Its three matrices are trained; `weight` (H, H) is the recurrent one, whose rank is the experiment's subject."""

    def __init__(self, inside: Tensor, weight: Tensor, outside: Tensor, alpha: float = 1.0) -> None:
        super().__init__()
        self.inside, self.weight, self.outside = (nn.Parameter(p.clone()) for p in (inside, weight, outside))
        self.alpha = alpha

    def hidden(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """States (T, B, H) for inputs (T, B, I), from h = 0; `weight` takes the recurrent matrix's place."""
        W = self.weight if weight is None else weight
        h, states = x.new_zeros(x.shape[1], len(W)), []
        for drive in x @ self.inside.T:
            h = torch.relu((1 - self.alpha) * h + self.alpha * (drive + h @ W.T))
            states.append(h)
        return torch.stack(states)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Outputs (T, B, O)."""
        return self.hidden(x, weight) @ self.outside.T


def torch_uniform(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """A matrix as torch.nn.Linear draws it: uniform within 1/sqrt(columns)."""
    return (2 * torch.rand(rows, columns, generator=generator) - 1) / math.sqrt(columns)
