"""What TRL's trainer is to reward, and the figures that a response's tokens tell beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.methods.reinforcement._shared import rewards
from workbench.methods.reinforcement._shared.tasks import Prompts, Task
from workbench.methods.reinforcement._shared.vocabulary import EOS, FILLER, TOKENS, padded
from workbench.methods.reinforcement.trl.knobs import Trl
from workbench.signals import emit

ANSWER = r"A \d $"  # one digit behind the last `A`
END = "<eos>"
_NUMBER = {token: i for i, token in enumerate(TOKENS)}
_WORD = re.compile(r"[A-Za-z]+|[0-9+=_]")


def words(text: str, ended: bool) -> list[int]:
    """A response's text in the laboratory's tokens, unknown words as `_`, with `<eos>` if it has ended."""
    return [*(_NUMBER.get(word, FILLER) for word in _WORD.findall(text)), *([EOS] if ended else [])]


class Rewards:
    """Three reward functions for `GRPOTrainer`, all of them reading the live configuration.

    Args:
        config: `form` and `length_penalty` are read at each batch.
        task: a task of the laboratory.
        prompts: all that are asked; the column `row` of the data set says which.
        eos: tokens that end a response.
    """

    def __init__(self, config: Trl, task: Task, prompts: Prompts, eos: Sequence[int]) -> None:
        self.config, self.task, self.prompts, self.eos = config, task, prompts, frozenset(eos)

    def functions(self) -> list[Any]:
        """In the order in which TRL logs them; it sums them up."""
        return [self.accuracy, self.form, self.length_penalty]

    def accuracy(
        self, completions: list[str], completion_ids: list[list[int]], row: list[int], **kwargs: Any
    ) -> list[float]:
        """1 where all behind the last `A` is the answer and the response has ended; figures are emitted."""
        asked, said = self.prompts.take(row), self._said(completions, completion_ids)
        right = self.task.verify(asked, said)
        emit("passes", self.task.passes(said).mean())
        emit("accuracy_pass1", self.task.first_pass_right(asked, said).mean())
        return list(map(float, right))

    def form(self, completions: list[str], completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        """`form` where a response ends with one digit behind an `A`."""
        said = [self.task.text(row) for row in self._said(completions, completion_ids)]
        return list(map(float, self.config.form * rewards.format_reward(said, answer=ANSWER, before=END)))

    def length_penalty(self, completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        """Minus `length_penalty` for each token."""
        return [-self.config.length_penalty * len(tokens) for tokens in completion_ids]

    def _said(self, texts: list[str], tokens: list[list[int]]) -> np.ndarray:
        """(B, T) laboratory tokens; one column more than any response, so that one that was cut off has no end."""
        rows = [words(t, bool(ids) and ids[-1] in self.eos) for t, ids in zip(texts, tokens, strict=True)]
        return padded(rows, max(map(len, rows)) + 1)
