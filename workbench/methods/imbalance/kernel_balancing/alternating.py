"""The authors' scheme, as released: a weight model and a prediction model take alternating Adam steps.

Both are sigmoid(u . v), so a weight lies between 0 and the inverse propensity and the weights need not sum to anything.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Factors(nn.Module):
    """sigmoid(u . v) of user and item vectors that start uniform in [0, 1)."""

    def __init__(
        self, users: int, items: int, dimensions: int = 4, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.W, self.H = nn.Embedding(users, dimensions), nn.Embedding(items, dimensions)
        for part in (self.W, self.H):
            nn.init.uniform_(part.weight, 0, 1, generator=generator)

    def forward(self, pairs: Tensor) -> Tensor:
        """Pairs (n, 2) of user and item to probabilities (n,)."""
        found: Tensor = torch.sigmoid((self.W(pairs[:, 0]) * self.H(pairs[:, 1])).sum(1))
        return found


def weight_loss(
    weights: Tensor, K: Tensor, target: Tensor, *, gamma: float, slack: float, sum_over_basis: bool = True
) -> Tensor:
    """(1/n) sum w ln w + gamma * what the means differ by beyond the slack.

    Args: weights (n,), K (n, J) of the observed, target (J,) means over everything. `sum_over_basis`: as released, the
    deviations are summed before the hinge, so that opposite ones cancel; else each function has its own.
    """
    apart = target - weights @ K / len(weights)
    apart = apart.sum() if sum_over_basis else apart
    hinge = (torch.relu(apart - slack) + torch.relu(-apart - slack)).sum()
    return weights @ weights.log() / len(weights) + gamma * hinge


def step(
    weight_model: Factors, optimizer: torch.optim.Optimizer, pairs: Tensor, inverse: Tensor, K: Tensor, target: Tensor,
    *, gamma: float, slack: float, sum_over_basis: bool = True,
) -> tuple[float, Tensor]:  # fmt: skip
    """One Adam step of the weight model; its loss before it, and the weights (n,) after it."""
    loss = weight_loss(
        weight_model(pairs) * inverse, K, target, gamma=gamma, slack=slack, sum_over_basis=sum_over_basis
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach()), weight_model(pairs).detach() * inverse
