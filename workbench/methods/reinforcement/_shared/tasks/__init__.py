"""Verifiable tasks in a synthetic language, one module each: prompts, a teacher who answers, a verifier.

A task of one's own is one file: a module with the functions of `Task`, here or in another package under the entry-point
group `workbench.methods.reinforcement._shared.tasks`. Nothing in this world comes from real data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from workbench.cards import parts
from workbench.cards.errors import InvalidValue

STYLES = ("direct", "short", "long")


@dataclass(frozen=True)
class Prompts:
    """Questions and their answers, n rows.

    Attributes:
        tokens: (n, P) int64; all of one length, so that nothing needs padding on the left.
        answers: for each the tokens that must stand between the last `A` and `<eos>`.
        kinds: (n,) int64, 0 where there is something to reason about (`R`), 1 where there is not (`C`).
        sizes: (n,) int64, number of operands.
    """

    tokens: NDArray[np.int64]
    answers: tuple[tuple[int, ...], ...]
    kinds: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.answers)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Prompts:
        """These rows (numbers, in this order)."""
        index = np.asarray(rows, dtype=np.int64)
        answers = tuple(self.answers[i] for i in index.tolist())
        return Prompts(self.tokens[index], answers, self.kinds[index], self.sizes[index])

    def repeat(self, times: int) -> Prompts:
        """Each row `times` times, one after another: the groups of GRPO. Raises `InvalidValue` below 1."""
        if times < 1:
            raise InvalidValue(f"The responses to a prompt (group size) must be at least 1; got {times}.")
        return self.take(np.repeat(np.arange(len(self)), times))


class Task(Protocol):
    """What a task's module offers. Its options have defaults; `chain` says what the words mean."""

    def sample(self, rng: np.random.Generator, n: int, **options: Any) -> Prompts:
        """Draw n prompts."""

    def teacher(self, rng: np.random.Generator, prompts: Prompts, style: str, **options: Any) -> list[list[int]]:
        """A response to each prompt, `<eos>` included."""

    def verify(
        self, prompts: Prompts, responses: NDArray[np.int64], mask: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """(n,) rewards, 0 or 1, of responses (n, T) with `<pad>` after `<eos>`."""

    def passes(self, responses: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) how often a response verifies: its number of `V`."""

    def first_pass_right(self, prompts: Prompts, responses: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether the first pass alone leads to the answer."""

    def text(self, tokens: Sequence[int] | NDArray[np.int64]) -> str:
        """Tokens, readable."""


def names() -> tuple[str, ...]:
    """Names of the tasks, `chain` first; imports none of them."""
    return parts.names(__name__, first="chain")


def task(name: str) -> Task:
    """The module of a task. Raises `UnknownName`, which suggests the nearest name."""
    return cast(Task, parts.part(__name__, name, what="task"))
