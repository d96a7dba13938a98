"""The replay buffer: a uniform sample of everything seen (Vitter's reservoir), or an equal part a task (ring)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue


@dataclass(frozen=True)
class Items:
    """Images (B, ...) uint8 as they were before augmentation, labels (B,), tasks (B,), and logits (B, classes) or None.

    `logits` are the network's at the step at which the item was seen (for DER++).
    """

    images: Tensor
    labels: Tensor
    tasks: Tensor
    logits: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Buffer:
    """At most `size` items; register it, its content is training state.

    Every draw takes its generator as an argument: which items are kept is then a function of the stream alone, and arms
    with the same seed keep the same ones whatever they replay (the authors' code draws from NumPy's global state).

    Args:
        size: capacity in items.
        shape: of an image.
        classes: length of the stored logits.
        rings: 0: reservoir; else the number of tasks, each of which gets size // rings slots, first in first out.
    """

    def __init__(self, size: int, shape: tuple[int, ...], classes: int, *, rings: int = 0) -> None:
        if size < max(rings, 1):
            raise InvalidValue(f"The buffer needs at least {max(rings, 1)} slots; got {size}.")
        self.size, self.rings = size, rings
        self.seen = 0
        self.filled = torch.zeros(size, dtype=torch.bool)
        self._written = torch.zeros(max(rings, 1), dtype=torch.int64)
        self._images = torch.zeros((size, *shape), dtype=torch.uint8)
        self._labels = torch.zeros(size, dtype=torch.int64)
        self._tasks = torch.zeros(size, dtype=torch.int64)
        self._logits = torch.zeros(size, classes)

    def __len__(self) -> int:
        return int(self.filled.sum())

    def add(self, items: Items, rng: np.random.Generator) -> None:
        """Offer items in order.

        Reservoir: number n (from 0) goes to slot n while there is one, then to slot r = randint(0, n), both ends
        included, if r < size.
        """
        for i in range(len(items)):
            slot = self._slot(int(items.tasks[i]), rng)
            if slot is None:
                continue
            self.filled[slot] = True
            self._images[slot], self._labels[slot], self._tasks[slot] = (
                items.images[i],
                items.labels[i],
                items.tasks[i],
            )
            if items.logits is not None:
                self._logits[slot] = items.logits[i]

    def _slot(self, task: int, rng: np.random.Generator) -> int | None:
        self.seen += 1
        if self.rings:
            part = self.size // self.rings
            at = int(self._written[task]) % part
            self._written[task] += 1
            return task * part + at
        if self.seen <= self.size:
            return self.seen - 1
        drawn = int(rng.integers(0, self.seen))
        return drawn if drawn < self.size else None

    def draw(self, number: int, rng: np.random.Generator) -> Items:
        """min(number, filled) items without replacement."""
        slots = np.flatnonzero(self.filled.numpy())
        rows = torch.from_numpy(rng.choice(slots, min(number, len(slots)), replace=False))
        return Items(self._images[rows], self._labels[rows], self._tasks[rows], self._logits[rows])

    def shares(self, tasks: int) -> np.ndarray:
        """(tasks,) share of the filled slots that each task holds; zeros when empty."""
        counts = np.bincount(self._tasks[self.filled].numpy(), minlength=tasks).astype(np.float64)
        return counts / max(counts.sum(), 1)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors."""
        parts = {n: getattr(self, f"_{n}") for n in ("written", "images", "labels", "tasks", "logits")}
        return {"seen": self.seen, "filled": self.filled, **parts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Raises `InvalidValue` for the state of a buffer of another size."""
        if len(state["filled"]) != self.size:
            raise InvalidValue(f"The saved buffer has {len(state['filled'])} slots, this one {self.size}.")
        self.seen = int(state["seen"])
        self.filled.copy_(state["filled"])
        for name in ("written", "images", "labels", "tasks", "logits"):
            getattr(self, f"_{name}").copy_(state[name])
