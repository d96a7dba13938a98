"""The network and its batches: dropout, momentum and a schedule, so that every kind of state matters."""

from __future__ import annotations

import time

import torch
from torch import nn

from workbench.signals import emit


class Network(nn.Module):
    """16 numbers in, 4 out; counts in its state how often the action was done to it."""

    def __init__(self, width: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        norm = [nn.BatchNorm1d(width)] if batch_norm else []
        self.layers = nn.Sequential(nn.Linear(16, width), *norm, nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 4))
        self.register_buffer("shrinks", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (n, 4) of inputs (n, 16)."""
        return self.layers(x)

    @torch.no_grad()
    def shrink(self) -> None:
        """The action: done twice, it shows for ever."""
        self.shrinks += 1
        for p in self.parameters():
            p.mul_(0.9)


def batch(generator, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (size, 16) and targets (size, 4) from a NumPy generator."""
    x = torch.from_numpy(generator.normal(size=(size, 16))).float()
    return x, torch.stack([x[:, :4].sum(1), x[:, 4:8].prod(1), x[:, 8].sin(), x[:, 9].abs()], 1)


@torch.no_grad()
def show(model: Network, loss: torch.Tensor, outputs: torch.Tensor, strength: float, lr: float) -> None:
    """Emit everything that the card declares."""
    emit("loss", loss)
    emit("norm", torch.stack([p.norm() for p in model.parameters()]).norm())
    emit("strength", strength)
    emit("lr", lr)
    emit("shrinks", model.shrinks)
    emit("outputs", outputs[:, 0])
    emit("cpu", 1e6 * time.thread_time())
