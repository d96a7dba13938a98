"""One training step of a base strategy on any network: parts of a batch, forwards (joint or apart), and the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from workbench.methods.continual._shared.context import Batch, NormContext


@dataclass
class Part:
    """New or replayed images (B, C, H, W) with labels (B,) and tasks (B,), and what the network says of them.

    `stored` (B, classes): logits kept in the buffer; `logits` (B, classes): now, filled in by the forward.
    """

    images: Tensor
    labels: Tensor
    tasks: Tensor
    stored: Tensor | None = None
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass
class Step:
    """What a strategy's loss is computed from.

    Attributes:
        new: the part that the stream gave.
        replays: one part a draw from the buffer.
        task: index of the task being trained.
        seen: (classes,) bool, classes seen so far, those of this batch among them.
        config: alpha, beta, mask: the strategies' coefficients.
    """

    new: Part
    replays: Sequence[Part]
    task: int
    seen: Tensor
    config: Any


class Window:
    """Weight that the running statistics give to each task now; register it.

    mass <- (1 - eta) mass; mass[k] += eta w_k, for every forward in train mode: the exact weight of task k's images in
    the running mean, averaged over layers. It sums to less than 1 while the initial values (or, with AdaB2N, seen tasks
    that were absent from a batch) still hold the rest.
    """

    def __init__(self, tasks: int) -> None:
        self.mass = torch.zeros(tasks, dtype=torch.float64)
        self.eta = 0.0

    def take(self, batch: Batch) -> None:
        """One forward's batch, after it."""
        if not batch.shares:
            return
        self.eta = float(batch.etas[0])
        share = torch.stack(batch.shares).double().mean(0)
        self.mass *= 1 - self.eta
        self.mass[: len(share)] += self.eta * share.cpu()

    def state_dict(self) -> dict[str, Any]:
        """Mass and step size."""
        return {"mass": self.mass, "eta": self.eta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.mass.copy_(state["mass"])
        self.eta = float(state["eta"])


class Learner:
    """A network under a strategy. Register it: it knows which classes have been seen.

    Args:
        network: images (B, C, H, W) to logits (B, classes), its norm layers made for `context`.
        strategy: a module of `workbench.methods.continual._shared.strategies`.
        joint: whether all parts of a step go through the network together. The authors' baselines with BN forward each
            part on its own, their AdaB2N all at once.
    """

    def __init__(
        self, network: nn.Module, context: NormContext, strategy: ModuleType, config: Any, *, classes: int, joint: bool
    ) -> None:
        self.network, self.context, self.strategy, self.config, self.joint = network, context, strategy, config, joint
        self.seen = torch.zeros(classes, dtype=torch.bool)
        self.window = Window(context.tasks)

    def losses(self, new: Part, replays: Sequence[Part], task: int, current: int) -> tuple[Tensor, Tensor, Tensor]:
        """Loss of the new part, of the replayed parts (scalars), and the layers' statistics loss; fills in `logits`.

        `task` is the one being trained, `current` the newest that the batch may hold images of.
        """
        self.seen[new.labels] = True
        parts = [new, *replays]
        gap = self._together(parts, current) if self.joint else self._apart(parts, current)
        fresh, replayed = self.strategy.loss(Step(new, replays, task, self.seen, self.config))
        return fresh, replayed, gap

    def _together(self, parts: Sequence[Part], current: int) -> Tensor:
        with self.context.batch(torch.cat([p.tasks for p in parts]), current) as batch:
            logits = self.network(torch.cat([p.images for p in parts]))
        self.window.take(batch)
        for part, own in zip(parts, logits.split([len(p.labels) for p in parts]), strict=True):
            part.logits = own
        return batch.gap()

    def _apart(self, parts: Sequence[Part], current: int) -> Tensor:
        gaps = []
        for part in parts:
            with self.context.batch(part.tasks, current) as batch:
                part.logits = self.network(part.images)
            self.window.take(batch)
            gaps.append(batch.gap())
        return torch.stack(gaps).sum()

    def state_dict(self) -> dict[str, Any]:
        """Classes seen, and the window."""
        return {"seen": self.seen, "window": self.window.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.seen.copy_(state["seen"])
        self.window.load_state_dict(state["window"])
