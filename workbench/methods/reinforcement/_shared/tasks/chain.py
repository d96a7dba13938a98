"""Sums digit by digit, which pay for thinking aloud, beside letters backwards, which do not: the default world.

Synthetic. Kind `R`: the sum modulo 10 of some digits; a tiny model guesses it badly, but can write down running sums.
Kind `C`, standing in for chat: the same letters in reverse order, answered at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.tasks import Prompts
from workbench.methods.reinforcement._shared.tasks._passes import (
    SLIPS,
    Slips,
    check_size,
    first_passes,
    layout,
    passes,
    respond,
    verify,
)
from workbench.methods.reinforcement._shared.tasks._passes import operands as operands_of
from workbench.methods.reinforcement._shared.vocabulary import CHAT, LETTER, REASON, text

__all__ = ["SLIPS", "first_pass_right", "passes", "sample", "teacher", "text", "trace", "verify"]


def sample(
    rng: np.random.Generator, n: int, *, reasoning: float = 0.7, sizes: tuple[int, int] = (3, 5), slots: int = 5
) -> Prompts:
    """Draw n prompts (n, slots + 2): kind token, slots with the operands and then fillers, `=`.

    `reasoning` is the chance of kind `R`; the number of operands is even in `sizes`, both ends included. Raises
    `InvalidValue` for a chance outside 0 to 1, no prompts, or more operands than slots.
    """
    check_size(n, sizes, slots)
    if not 0 <= reasoning <= 1:
        raise InvalidValue(f"reasoning, the share of prompts of kind R, must be from 0 to 1; got {reasoning}.")
    kinds = (rng.random(n) >= reasoning).astype(np.int64)
    counts = rng.integers(sizes[0], sizes[1], n, endpoint=True)
    operands = rng.integers(0, 10, (n, slots)) + np.where(kinds == 1, LETTER, 0)[:, None]
    tokens = layout(np.where(kinds == 1, CHAT, REASON), operands, counts)
    return Prompts(tokens, _answers(operands, kinds, counts), kinds, counts)


def _answers(
    operands: NDArray[np.int64], kinds: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[tuple[int, ...], ...]:
    rows = [row[:size] for row, size in zip(operands.tolist(), counts.tolist(), strict=True)]
    return tuple(
        tuple(reversed(row)) if kind else (sum(row) % 10,) for row, kind in zip(rows, kinds.tolist(), strict=True)
    )


def trace(rng: np.random.Generator, prompts: Prompts, slip: float) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """One pass over every prompt, operand and running sum in turn, and the last sum.

    With chance `slip` a sum is one of the nine wrong ones, evenly; the sums after it go on from there.
    """
    shape = prompts.tokens[:, 1:-1].shape
    off = np.where(rng.random(shape) < slip, rng.integers(1, 10, shape), 0)
    digits = np.where(prompts.tokens[:, 1:-1] < 10, prompts.tokens[:, 1:-1], 0)
    sums = ((digits + off).cumsum(1) % 10).tolist()
    rows = operands_of(prompts)
    traces = [
        [token for pair in zip(row, running, strict=False) for token in pair]
        for row, running in zip(rows, sums, strict=True)
    ]
    return traces, [(tokens[-1],) for tokens in traces]


def teacher(
    rng: np.random.Generator, prompts: Prompts, style: str, *, slips: Slips = "teacher", skip: float = 0.0
) -> list[list[int]]:
    """A response to each prompt, `<eos>` included, in style direct, short or long.

    `slips`: chances for the first, second, … pass, or the name of one of `SLIPS`; `skip`: share of long responses that
    stop after the first pass. Kind `C` is always answered directly and rightly. Raises `UnknownName` for another style
    or name, `InvalidValue` for a chance outside 0 to 1.
    """
    return respond(rng, prompts, style, trace, slips=slips, skip=skip)


def first_pass_right(prompts: Prompts, responses: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the last token of the first pass is the answer; False without a pass, so always for kind `C`."""
    found = first_passes(prompts, responses)
    return np.array([tuple(p[-1:]) == a for p, a in zip(found, prompts.answers, strict=True)])
