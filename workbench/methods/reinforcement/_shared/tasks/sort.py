"""Sort some digits by selection. Synthetic.

A pass takes the smallest digit left again and again, and writes the letter of its slot (`a` the first) and the digit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.methods.reinforcement._shared.tasks import Prompts
from workbench.methods.reinforcement._shared.tasks._passes import (
    Slips,
    check_size,
    first_passes,
    layout,
    passes,
    respond,
    verify,
)
from workbench.methods.reinforcement._shared.tasks._passes import operands as operands_of
from workbench.methods.reinforcement._shared.vocabulary import LETTER, REASON, text

__all__ = ["first_pass_right", "passes", "sample", "teacher", "text", "trace", "verify"]


def sample(rng: np.random.Generator, n: int, *, sizes: tuple[int, int] = (3, 5), slots: int = 5) -> Prompts:
    """Draw n prompts (n, slots + 2): `R`, digits and then fillers, `=`; kind is 0 everywhere.

    Raises `InvalidValue` for no prompts, or more digits than slots (of which there are at most ten letters).
    """
    check_size(n, sizes, min(slots, 10))
    counts = rng.integers(sizes[0], sizes[1], n, endpoint=True)
    digits = rng.integers(0, 10, (n, slots))
    answers = tuple(tuple(sorted(row[:size])) for row, size in zip(digits.tolist(), counts.tolist(), strict=True))
    return Prompts(layout(np.full(n, REASON), digits, counts), answers, np.zeros(n, dtype=np.int64), counts)


def trace(rng: np.random.Generator, prompts: Prompts, slip: float) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """One pass over every prompt: slot and digit in turn, and the digits in the order they were taken.

    With chance `slip` a step takes any other digit that is left instead of the smallest (the first of equal ones).
    """
    shape = prompts.tokens[:, 1:-1].shape
    slipped, which = (rng.random(shape) < slip).tolist(), rng.random(shape).tolist()
    traces, results = [], []
    for digits, wrong, lots in zip(operands_of(prompts), slipped, which, strict=True):
        left = sorted(range(len(digits)), key=lambda slot: (digits[slot], slot))
        taken = []
        for step in range(len(digits)):
            others = len(left) - 1
            taken.append(left.pop(1 + int(lots[step] * others) if wrong[step] and others else 0))
        traces.append([token for slot in taken for token in (LETTER + slot, digits[slot])])
        results.append(tuple(digits[slot] for slot in taken))
    return traces, results


def teacher(
    rng: np.random.Generator, prompts: Prompts, style: str, *, slips: Slips = "teacher", skip: float = 0.0
) -> list[list[int]]:
    """A response to each prompt, `<eos>` included; options and errors as in `chain`."""
    return respond(rng, prompts, style, trace, slips=slips, skip=skip)


def first_pass_right(prompts: Prompts, responses: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the digits of the first pass, every second token, are the answer; False without a pass."""
    found = first_passes(prompts, responses)
    return np.array([tuple(p[1::2]) == a for p, a in zip(found, prompts.answers, strict=True)])
