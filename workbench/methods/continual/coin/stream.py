"""The stream of instructions: where training stands, and the next batch. NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.methods.continual.coin.questions import Question

Batch = tuple[NDArray[np.float32], NDArray[np.int64]]


class Stream:
    """Questions one after another over the same pictures; a batch is a function of (task, position).

    Register it: its state is the task, the position in it in batches, and the task's length.

    Args:
        images: (N, 784) floats. classes: (N,) of Fashion-MNIST.
        vectors: for each question (wordings, 16), what an instruction becomes.
        rng: `session.rng` or its like.
        mixed: every picture of a batch gets a question of its own (joint training).
    """

    FIELDS = ("task", "position", "length")

    def __init__(
        self, questions: tuple[Question, ...], vectors: list[NDArray[np.float32]], images: NDArray[np.float32],
        classes: NDArray[np.int64], rng: Callable[..., np.random.Generator], *, mixed: bool = False,
    ) -> None:  # fmt: skip
        self.questions, self.vectors, self.images, self.classes = questions, vectors, images, classes
        self.rng, self.mixed = rng, mixed
        self.answers = np.array([q.answers for q in questions])
        self.task, self.position, self.length = -1, 0, 0
        self._order: tuple[object, NDArray[np.int64]] = None, np.empty(0, np.int64)

    @property
    def at_border(self) -> bool:
        """Whether the task is over, or none has begun."""
        return self.position >= self.length

    @property
    def over(self) -> bool:
        """Whether the last task is over."""
        return self.at_border and self.task == len(self.questions) - 1

    def begin(self, length: int) -> None:
        """Go to the next task, of `length` batches."""
        self.task, self.position, self.length = self.task + 1, 0, length

    def next(self, size: int) -> Batch:
        """Inputs (size, 800), pixels then instruction, and answers (size,).

        Pictures come without replacement until they are used up, then in another order.
        """
        per_epoch = max(len(self.classes) // size, 1)
        epoch, place = divmod(self.position, per_epoch)
        key = (self.task, epoch)
        if self._order[0] != key:
            self._order = key, self.rng("data", "stream", *key).permutation(len(self.classes))
        rows = self._order[1][place * size : (place + 1) * size]
        draw = self.rng("data", "wording", self.task, self.position)
        tasks = draw.integers(len(self.questions), size=len(rows)) if self.mixed else np.full(len(rows), self.task)
        wordings = draw.integers(2**31, size=len(rows))
        self.position += 1
        return self.ask(self.images[rows], self.classes[rows], tasks, wordings)

    def ask(
        self, images: NDArray[np.float32], classes: NDArray[np.int64], tasks: NDArray[np.int64],
        wordings: NDArray[np.int64],
    ) -> Batch:  # fmt: skip
        """Inputs and answers of pictures with a question each; `wordings` are taken modulo a question's number."""
        words = np.stack([self.vectors[t][w % len(self.vectors[t])] for t, w in zip(tasks, wordings, strict=True)])
        return np.concatenate([images, words], axis=1), self.answers[tasks, classes]

    def state_dict(self) -> dict[str, int]:
        """Plain numbers."""
        return {name: getattr(self, name) for name in self.FIELDS}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from there."""
        for name in self.FIELDS:
            setattr(self, name, int(state[name]))
