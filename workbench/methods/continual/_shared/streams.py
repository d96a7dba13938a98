"""Streams of tasks over real data, and where training stands in one. NumPy alone.

Class-incremental: one output for every class of every task, and a label says which task it is from
(`label // classes_per_task`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench import data
from workbench.cards.errors import InvalidValue, UnknownName

#: What `load` knows; None: one data set split by its classes into so many tasks, else a data set a task.
SPLITS = {
    "split_fashion_mnist": ("fashion_mnist", 5),
    "split_cifar10": ("cifar10", 5),
    "split_cifar100": ("cifar100", 10),
}
DOMAINS = ("fashion_mnist", "mnist_5k", "animal_mnist")
STREAMS = ("split_fashion_mnist", "domains", "split_cifar10", "split_cifar100")


@dataclass(frozen=True)
class Task:
    """Images (n, H, W[, 3]) uint8 and labels (n,) int64 over all classes of the stream, for training and testing."""

    name: str
    train_x: NDArray[np.uint8]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.int64]


@dataclass(frozen=True)
class Tasks:
    """A sequence of tasks with equally many classes each; images in 0 … `levels`."""

    tasks: tuple[Task, ...]
    classes_per_task: int
    levels: int = 255

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def classes(self) -> int:
        """Of all tasks together: the size of the network's output."""
        return len(self.tasks) * self.classes_per_task

    @property
    def channels(self) -> int:
        """1 (grey) or 3."""
        return 1 if self.tasks[0].train_x.ndim == 3 else 3

    def floats(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, channels, H, W) in [0, 1]."""
        return data.as_floats(images, self.levels)

    def probes(self, number: int) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """For each task the first `number` test images, spread evenly over its classes (some sets lie sorted)."""
        found = []
        for k, task in enumerate(self.tasks):
            own = task.test_y - k * self.classes_per_task
            each = max(number // self.classes_per_task, 1)
            rows = np.concatenate([np.flatnonzero(own == c)[:each] for c in range(self.classes_per_task)])
            found.append((task.test_x[np.sort(rows)], task.test_y[np.sort(rows)]))
        return found


def split(source: data.Data, tasks: int, order_seed: int, *, images: int | None = None) -> Tasks:
    """Cut one data set into `tasks` of equally many classes (Split Fashion-MNIST and its like).

    Labels are permuted first with NumPy's ``default_rng(42 + order_seed)``; order seed 0 leaves them as they are: the
    convention of the AdaB2N repository (datasets/utils/continual_dataset.py), so that orders are comparable. `images`:
    the first so many of each task's training set. Raises `InvalidValue` if the classes do not split evenly.
    """
    classes = len(source.classes)
    if not 2 <= tasks <= classes or classes % tasks:
        raise InvalidValue(f"{source.name} has {classes} classes, which do not split into {tasks} tasks of equal size.")
    order = np.random.default_rng(42 + order_seed).permutation(classes) if order_seed else np.arange(classes)
    each = classes // tasks
    train, test = order[source.train_y], order[source.test_y]
    names = np.argsort(order)  # new label → class
    made = []
    for k in range(tasks):
        rows = np.flatnonzero(train // each == k)[:images]
        held = np.flatnonzero(test // each == k)
        name = " / ".join(source.classes[c] for c in names[k * each : (k + 1) * each])
        made.append(Task(name, source.train_x[rows], train[rows], source.test_x[held], test[held]))
    return Tasks(tuple(made), each, source.levels)


def chain(sources: list[data.Data], *, images: int | None = None) -> Tasks:
    """One task a data set, its labels moved behind those of the tasks before. Training images are shuffled once.

    Raises `InvalidValue` if the sets differ in image size or in the number of classes.
    """
    first = sources[0]
    made = []
    for k, source in enumerate(sources):
        if (source.shape, source.levels, len(source.classes)) != (first.shape, first.levels, len(first.classes)):
            raise InvalidValue(
                f"{source.name} does not go behind {first.name}: images, grey levels or the number of classes differ."
            )
        rows = np.random.default_rng(42).permutation(len(source.train_y))[:images]  # some sets lie sorted by class
        shift = k * len(first.classes)
        made.append(
            Task(source.name, source.train_x[rows], source.train_y[rows] + shift, source.test_x, source.test_y + shift)
        )
    return Tasks(tuple(made), len(first.classes), first.levels)


def load(name: str, order_seed: int = 0, *, images: int | None = None) -> Tasks:
    """The stream `name`, with the first `images` training images of each task.

    The order seed permutes classes over tasks; the domains keep their order: Fashion, digits, animal silhouettes.
    Raises `UnknownName`; `MissingData` with what brings a set that is not on this machine; `InvalidValue`.
    """
    if name == "domains":
        return chain([data.load(d) for d in DOMAINS], images=images)
    if name not in SPLITS:
        raise UnknownName("stream", name, STREAMS)
    source, tasks = SPLITS[name]
    return split(data.load(source), tasks, order_seed, images=images)


class Stream:
    """Where training stands, and the next batch: a function of (task, position), so that a run goes on from anywhere.

    Register it: its state is the task, the position in it in batches, the task's length and its batch size.

    Args:
        rng: `session.rng` or its like: `rng("data", *keys)` gives a fresh generator that depends on the keys alone.
        mixed: every batch holds images of all tasks (the upper bound *joint*); the borders stay where they are.
    """

    FIELDS = ("task", "position", "length", "batch")

    def __init__(self, tasks: Tasks, rng: Callable[..., np.random.Generator], *, mixed: bool = False) -> None:
        self.tasks, self._rng, self.mixed = tasks, rng, mixed
        self.task, self.position, self.length, self.batch = -1, 0, 0, 0
        self._order: tuple[Any, NDArray[np.int64]] = None, np.empty(0, np.int64)
        if mixed:
            parts = tasks.tasks
            self._pool = (np.concatenate([t.train_x for t in parts]), np.concatenate([t.train_y for t in parts]))

    @property
    def at_border(self) -> bool:
        """Whether the task is over (or none has begun): the next batch belongs to the next task."""
        return self.position >= self.length

    @property
    def over(self) -> bool:
        """Whether the last task is over."""
        return self.at_border and self.task == len(self.tasks) - 1

    @property
    def current(self) -> int:
        """The newest task that batches may hold images of."""
        return len(self.tasks) - 1 if self.mixed else self.task

    def begin(self, length: int, batch: int) -> None:
        """Go to the next task, of `length` batches of `batch` images. Raises `InvalidValue` behind the last."""
        if self.task + 1 >= len(self.tasks):
            raise InvalidValue(f"The stream has {len(self.tasks)} tasks; there is none after the last.")
        self.task, self.position, self.length, self.batch = self.task + 1, 0, length, batch

    def next(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Images (B, H, W[, 3]), labels (B,) and tasks (B,) of the next batch.

        Without replacement until the task's images are used up, then in another order (a second epoch).
        """
        x, y = self._pool if self.mixed else (self.tasks.tasks[self.task].train_x, self.tasks.tasks[self.task].train_y)
        per_epoch = max(len(y) // self.batch, 1)
        epoch, place = divmod(self.position + (self.task * self.length if self.mixed else 0), per_epoch)
        key = (-1 if self.mixed else self.task, epoch)
        if self._order[0] != key:
            self._order = key, self._rng("data", "stream", *key).permutation(len(y))
        rows = self._order[1][place * self.batch : (place + 1) * self.batch]
        self.position += 1
        labels = y[rows]
        return x[rows], labels, labels // self.tasks.classes_per_task

    def state_dict(self) -> dict[str, int]:
        """Plain numbers."""
        return {name: getattr(self, name) for name in self.FIELDS}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from there."""
        for name in self.FIELDS:
            setattr(self, name, int(state[name]))
