"""Which adapter serves which instruction: similarity of wordings, and groups of tasks that share one adapter.

As in the CoIN repository, instruct/LoRASelect.py: the TF-IDF vectoriser is fitted on the two sentences alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from workbench.cards.errors import InvalidValue


@cache
def similarity(one: str, other: str) -> float:
    """Cosine of the TF-IDF vectors of two sentences, English stop words left out, in 0 … 1.

    Raises `InvalidValue` for a sentence that consists of stop words alone.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    for sentence in (one, other):
        check(sentence)
    rows = TfidfVectorizer(stop_words="english").fit_transform([one, other])
    return float((rows[0] @ rows[1].T).toarray()[0, 0])


@cache
def check(sentence: str) -> None:
    """Refuse an instruction without any word that counts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not TfidfVectorizer(stop_words="english").build_analyzer()(sentence):
        raise InvalidValue(
            f"The instruction {sentence!r} consists of stop words only, so that nothing can be compared with it. "
            "Word it with at least one noun or verb of its own."
        )


def mean_similarity(new: Sequence[str], known: Sequence[str]) -> float:
    """Mean over all pairs (unique instruction of `new`, stored instruction of `known`)."""
    return float(np.mean([[similarity(a, b) for b in known] for a in dict.fromkeys(new)]))


class Groups:
    """Codebooks of instructions, one a group, and of each task so far its group and what it was like; register it.

    Attributes:
        books: of each group the instructions it has seen.
        of_task: of each task its group.
        like: of each task its similarities to the groups that there were when it began.
    """

    def __init__(self) -> None:
        self.books: list[list[str]] = []
        self.of_task: list[int] = []
        self.like: list[list[float]] = []

    def similarities(self, instructions: Sequence[str]) -> list[float]:
        """To each group that there is."""
        return [mean_similarity(instructions, book) for book in self.books]

    def nearest(self, instructions: Sequence[str], threshold: float) -> int | None:
        """The most similar group at or above the threshold; None if there is none."""
        if not 0 <= threshold <= 1:
            raise InvalidValue(f"The similarity threshold must lie between 0 and 1; got {threshold}.")
        found = self.similarities(instructions)
        best = int(np.argmax(found)) if found else -1
        return best if found and found[best] >= threshold else None

    def route(self, instructions: Sequence[str], threshold: float) -> int:
        """At test time: the nearest group, else the newest (as in the authors' code, not the most similar one)."""
        nearest = self.nearest(instructions, threshold)
        return len(self.books) - 1 if nearest is None else nearest

    def assign(self, group: int | None, instructions: Sequence[str]) -> int:
        """Give the next task its group (None: a new one) and note its unseen instructions; returns the group."""
        self.like.append(self.similarities(instructions))
        if group is None:
            self.books.append([])
            group = len(self.books) - 1
        self.books[group] += [i for i in dict.fromkeys(instructions) if i not in self.books[group]]
        self.of_task.append(group)
        return group

    @property
    def current(self) -> int:
        """The group of the newest task."""
        return self.of_task[-1]

    @property
    def reused(self) -> bool:
        """Whether the newest task trains an adapter that an earlier one trained."""
        return self.of_task[-1] in self.of_task[:-1]

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "books": [list(b) for b in self.books],
            "of_task": list(self.of_task),
            "like": [list(x) for x in self.like],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.books, self.like = [list(b) for b in state["books"]], [list(x) for x in state["like"]]
        self.of_task = [int(g) for g in state["of_task"]]
