"""Toy instruction tuning: questions about a garment's picture, each in several wordings. NumPy and scikit-learn.

The answer is a fixed function of Fashion-MNIST's ten classes, told by the first outputs of a head that all share; so
some questions agree and some conflict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue

WORDS = 16  # numbers that an instruction becomes


@dataclass(frozen=True)
class Question:
    """A task: its wordings, and the answer (10,) to each class of Fashion-MNIST."""

    name: str
    wordings: tuple[str, ...]
    answers: tuple[int, ...]


# T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot
NAME = Question(
    "name",
    ("Name the garment in the picture.", "What kind of garment is shown here?",
     "Which article of clothing does this image depict?", "Give the name of the item pictured."),
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
)  # fmt: skip
FOOTWEAR = Question(
    "footwear",
    ("Is this footwear? Answer yes or no.", "Does the picture show something worn on the feet?",
     "Would you wear this item on your feet?", "Decide whether the item is footwear."),
    (0, 0, 0, 0, 0, 1, 0, 1, 0, 1),
)  # fmt: skip
TOP = Question(
    "top",
    ("Is this a top? Answer yes or no.", "Does the picture show something worn on the upper body?",
     "Would you wear this item over the chest?", "Decide whether the item is a top."),
    (1, 0, 1, 0, 1, 0, 1, 0, 0, 0),
)  # fmt: skip
SLEEVES = Question(
    "sleeves",
    ("Does it have sleeves? Answer yes or no.", "Are there sleeves on this garment?",
     "Would this item cover your arms?", "Decide whether the item has sleeves."),
    (1, 0, 1, 1, 1, 0, 1, 0, 0, 0),
)  # fmt: skip
KIND = Question(
    "kind",
    ("Is it a shoe, a bag or clothing?", "Sort the item into shoes, bags or clothing.",
     "Choose one: shoe, bag, clothing.", "Which kind is it, shoe or bag or clothing?"),
    (2, 2, 2, 2, 2, 0, 2, 0, 1, 0),
)  # fmt: skip
SEASON = Question(
    "season",
    ("In which season is this worn?", "Choose the season for this garment: summer, winter or any.",
     "When in the year would you wear it?", "Which season suits the item?"),
    (0, 2, 1, 0, 1, 0, 2, 2, 2, 1),
)  # fmt: skip
NEXT = Question(
    "next",
    ("Name the garment that follows the one in the picture.", "Which article comes after the one shown?",
     "Give the successor of the item pictured."),
    (1, 2, 3, 4, 5, 6, 7, 8, 9, 0),
)  # fmt: skip
SETS = {
    "questions": (NAME, FOOTWEAR, TOP, SLEEVES, KIND, SEASON),
    "conflict": (NAME, FOOTWEAR, TOP, SLEEVES, KIND, NEXT),
}
TASKS = 6


def choose(name: str, order_seed: int) -> tuple[Question, ...]:
    """The six tasks of a set; order seed 0 leaves them in their order."""
    if name not in SETS:
        raise InvalidValue(f"There are no questions '{name}'; use one of {', '.join(SETS)}.")
    found = SETS[name]
    order = np.random.default_rng(order_seed).permutation(len(found)) if order_seed else range(len(found))
    return tuple(found[i] for i in order)


def embed(questions: tuple[Question, ...], rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """For each question (wordings, 16): TF-IDF vectors, fitted on all wordings, through a random linear map.

    The map keeps a vector's length of 1 on average. The questions' order does not matter.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = sorted({w for q in questions for w in q.wordings})
    vectoriser = TfidfVectorizer(stop_words="english").fit(texts)
    matrix = rng.standard_normal((len(vectoriser.vocabulary_), WORDS)) / np.sqrt(WORDS)
    return [(vectoriser.transform(q.wordings) @ matrix).astype(np.float32) for q in questions]
