"""The 30 tokens of the laboratory's made-up language, which all tasks share. NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue, UnknownName

TOKENS = (*"0123456789", *"abcdefghij", "+", "=", "A", "V", "_", "R", "C", "<eos>", "\n", "<pad>")
SIZE = len(TOKENS)
LETTER = 10  # the first of ten
PLUS, EQUALS, ANSWER, AGAIN, FILLER, REASON, CHAT, EOS, NEWLINE, PAD = range(20, SIZE)
FORBIDDEN = (PAD, NEWLINE, FILLER)  # never sampled: whatever follows <pad> is masked, which a policy would exploit

_SHOWN = tuple("\\n" if token == "\n" else token for token in TOKENS)
_NUMBER = {token: i for i, token in enumerate(_SHOWN)}


def text(tokens: Iterable[int]) -> str:
    r"""Tokens as words with spaces between them; `<pad>` at the end is left out, a new line is shown as `\n`.

    Raises `InvalidValue` for a number that is no token.
    """
    numbers = [int(t) for t in tokens]
    while numbers and numbers[-1] == PAD:
        numbers.pop()
    for number in numbers:
        if not 0 <= number < SIZE:
            raise InvalidValue(f"A token must be a whole number from 0 to {SIZE - 1}; got {number}.")
    return " ".join(_SHOWN[number] for number in numbers)


def parse(words: str) -> list[int]:
    """The tokens that `text` shows as these words. Raises `UnknownName` for a word that is none."""
    for word in words.split():
        if word not in _NUMBER:
            raise UnknownName("token", word, _NUMBER)
    return [_NUMBER[word] for word in words.split()]


def padded(rows: Sequence[Sequence[int]], length: int | None = None) -> NDArray[np.int64]:
    """Rows of tokens as (n, length), filled up with `<pad>`; by default as long as the longest.

    Raises `InvalidValue` if a row is longer than `length`.
    """
    longest = max((len(row) for row in rows), default=0)
    if length is None:
        length = longest
    if longest > length:
        raise InvalidValue(f"A row of {longest} tokens does not fit into {length}.")
    out = np.full((len(rows), length), PAD, dtype=np.int64)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out
