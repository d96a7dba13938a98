"""The network: two hidden layers that make features, one head, and a head a round for synthesis."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module):
    """Pictures (n, 2, 14, 14) → logits; its parts are there for all stages, and drawn anew by `reset`.

    `inside` is the featuriser, `head` has one output, `tasks` one a round: of its rows only the first few are used.
    """

    def __init__(self, hidden: int, rounds: int, inputs: int = 2 * 14 * 14) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.head, self.tasks = nn.Linear(hidden, 1), nn.Linear(hidden, rounds)

    @torch.no_grad()
    def reset(self, generator: torch.Generator, tasks: int = 0) -> None:
        """Draw everything anew: Xavier's uniform weights, biases of 0; `tasks` heads for synthesis."""
        for layer in (self.inside[0], self.inside[2], self.head, self.tasks):
            assert isinstance(layer, nn.Linear)
            out = max(tasks, 1) if layer is self.tasks else layer.out_features
            bound = math.sqrt(6 / (layer.in_features + out))
            layer.weight.copy_((2 * torch.rand(layer.weight.shape, generator=generator) - 1) * bound)
            layer.bias.zero_()
        self.tasks.weight[tasks:] = 0

    def features(self, x: Tensor) -> Tensor:
        """(n, hidden)."""
        features: Tensor = self.inside(x.flatten(1))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n,) of the head."""
        return self.answer(self.features(x))

    def answer(self, features: Tensor) -> Tensor:
        """Logits (n,) of the head, from features."""
        logits: Tensor = self.head(features)
        return logits.squeeze(1)

    def answers(self, features: Tensor, tasks: int) -> Tensor:
        """Logits (n, tasks) of the rounds' heads, from features."""
        return F.linear(features, self.tasks.weight[:tasks], self.tasks.bias[:tasks])

    @torch.no_grad()
    def merge(self, tasks: int) -> None:
        """The head becomes the mean of the rounds' heads."""
        self.head.weight.copy_(self.tasks.weight[:tasks].mean(0, keepdim=True))
        self.head.bias.copy_(self.tasks.bias[:tasks].mean(0, keepdim=True))
