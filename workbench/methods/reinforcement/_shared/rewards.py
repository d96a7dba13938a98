"""Rewards made from a response's form and length. NumPy alone.

Lengths are counted in whatever `max_len` is counted in: tokens here, characters in the authors' code of the two-stage
recipe (analokmaus/kaggle-aimo2-fast-math-r1, finetune/grpo_rewards.py), from which format, cosine and length are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.cards.errors import InvalidValue

Rewards = NDArray[np.float64]


def format_reward(
    responses: Sequence[str], *, answer: str = r"\\boxed\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", before: str = "</think>"
) -> Rewards:
    """(n,) 1 where the pattern `answer` is found before the first `before`, else 0; also 0 without `before`."""
    found = re.compile(answer, re.DOTALL)
    parts = [response.partition(before) for response in responses]
    return np.array([float(bool(end) and found.search(head) is not None) for head, end, _ in parts])


def cosine_reward(
    lengths: ArrayLike, correct: ArrayLike, max_len: float, *, right: tuple[float, float] = (1.0, 0.1),
    wrong: tuple[float, float] = (-1.0, -0.1), clip: bool = True,
) -> Rewards:  # fmt: skip
    """(n,) reward that moves along half a cosine from its value at length 0 to that at `max_len`.

    A right answer is worth the more the shorter it is, a wrong one the more the longer it tried.

    Args:
        lengths, correct: (n,) lengths and whether the answer is right.
        max_len: where the curve ends.
        right, wrong: (at length 0, at `max_len`).
        clip: hold the reward beyond `max_len`; without it the curve turns back.

    Raises `InvalidValue` if max_len is not positive, or lengths and answers do not belong together.
    """
    size, flags = _judged(lengths, correct)
    progress = size / _positive(max_len)
    if clip:
        progress = np.minimum(progress, 1)
    start, end = (np.where(flags, r, w) for r, w in zip(right, wrong, strict=True))
    return end + 0.5 * (start - end) * (1 + np.cos(np.pi * progress))


def length_reward(lengths: ArrayLike, correct: ArrayLike, group: int) -> Rewards:
    """(n,) 0.5 for the shortest of its group down to -0.5 for the longest; a wrong answer gets no more than 0.

    0 in a group of equal lengths (Kimi k1.5, arXiv 2501.12599, section 2.3.3). The groups stand one after the other,
    each of `group` responses to one prompt. Raises `InvalidValue` for groups of 1, groups that do not divide the batch,
    or lengths and answers that do not belong together.
    """
    if group < 2:
        raise InvalidValue(f"A length reward compares the responses of a group, so it needs at least 2; got {group}.")
    size, flags = _judged(lengths, correct)
    if len(size) % group:
        raise InvalidValue(f"{len(size)} responses cannot be split into groups of {group}.")
    grouped = size.reshape(-1, group)
    least = grouped.min(1, keepdims=True)
    span = grouped.max(1, keepdims=True) - least
    share = 0.5 - (grouped - least) / np.where(span == 0, 1, span)
    share = np.where(span == 0, 0, share).ravel()
    return np.where(flags, share, np.minimum(share, 0))


def overlong_penalty(lengths: ArrayLike, max_len: float, cache: float) -> Rewards:
    """(n,) 0 up to max_len - cache, falling to -1 at `max_len`, -1 beyond (DAPO, arXiv 2503.14476, equation 13).

    Raises `InvalidValue` if max_len is not positive or cache not in (0, max_len].
    """
    size = _lengths(lengths)
    if not 0 < cache <= _positive(max_len):
        raise InvalidValue(f"cache must lie above 0 and be at most max_len ({max_len}); got {cache}.")
    return -np.clip((size - (max_len - cache)) / cache, 0, 1)


def repetition_penalty(responses: Sequence[Sequence[int]], n: int = 3) -> Rewards:
    """(len,) minus the share of a response's n-grams that it has said before; 0 with fewer than n tokens.

    `responses`: tokens of each, without padding. Raises `InvalidValue` for n below 1.
    """
    if n < 1:
        raise InvalidValue(f"An n-gram needs at least 1 token; got n = {n}.")
    said = [[tuple(r[i : i + n]) for i in range(len(r) - n + 1)] for r in responses]
    return np.array([len(set(grams)) / len(grams) - 1 if grams else 0.0 for grams in said])


def _lengths(lengths: ArrayLike) -> Rewards:
    size = np.asarray(lengths, dtype=np.float64)
    if size.ndim != 1 or not (np.isfinite(size) & (size >= 0)).all():
        raise InvalidValue("Lengths must be a row of numbers that are finite and not negative.")
    return size


def _judged(lengths: ArrayLike, correct: ArrayLike) -> tuple[Rewards, NDArray[np.bool_]]:
    size, flags = _lengths(lengths), np.asarray(correct, dtype=bool)
    if flags.shape != size.shape:
        raise InvalidValue(f"There are {len(size)} lengths, but answers of shape {flags.shape}.")
    return size, flags


def _positive(max_len: float) -> float:
    if not 0 < max_len < np.inf:
        raise InvalidValue(f"max_len must be above 0 and finite; got {max_len}.")
    return max_len
