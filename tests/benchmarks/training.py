"""A real training step of about a millisecond: a small network of fully connected layers on random images."""

from __future__ import annotations

import time

import torch
from torch import nn

FEATURES, CLASSES, HIDDEN = 64, 10, 192


class Training:
    """One network and its data; `step` trains a batch and returns five floats about it."""

    def __init__(self, batch: int) -> None:
        torch.manual_seed(0)
        self.x, self.y = torch.randn(batch, FEATURES), torch.randint(0, CLASSES, (batch,))
        self.net = network()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, momentum=0.9)

    def step(self) -> tuple[float, float, float, float, float]:
        """Train one batch."""
        self.optimizer.zero_grad()
        logits = self.net(self.x)
        loss = nn.functional.cross_entropy(logits, self.y)
        loss.backward()
        self.optimizer.step()
        value = loss.item()
        return value, value * 0.5, value * 2.0, 1e-3, 1.0 - value


def network() -> nn.Sequential:
    """The network that is trained."""
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
                         nn.Linear(HIDDEN, CLASSES))  # fmt: skip


def millisecond() -> tuple[int, float]:
    """The batch size at which a step takes about a millisecond of CPU here, and what it takes, in ms."""
    torch.set_num_threads(1)
    batch, took = 8, 0.0
    while batch < 4096:
        training = Training(batch)
        for _ in range(20):
            training.step()
        begun = time.thread_time()
        for _ in range(60):
            training.step()
        took = (time.thread_time() - begun) / 60 * 1e3
        if took >= 0.9:
            break
        batch = max(batch + 4, int(batch * min(2.0, 1.0 / max(took, 0.05))))
    return batch, took
