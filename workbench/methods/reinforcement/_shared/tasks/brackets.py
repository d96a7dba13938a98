"""Say whether brackets balance: 1 or 0. Synthetic; `a` stands for an opening bracket, `b` for a closing one.

A pass writes the depth after each bracket. Depths count modulo ten, so that 9 is the depth below zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
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
from workbench.methods.reinforcement._shared.vocabulary import LETTER, REASON, text

__all__ = ["first_pass_right", "passes", "sample", "teacher", "text", "trace", "verify"]

OPEN, CLOSE = LETTER, LETTER + 1
BELOW = 9


def sample(
    rng: np.random.Generator, n: int, *, balanced: float = 0.5, sizes: tuple[int, int] = (4, 6), slots: int = 6
) -> Prompts:
    """Draw n prompts (n, slots + 2): `R`, brackets and then fillers, `=`; kind is 0 everywhere.

    `balanced` is the chance that they balance; the number of brackets is one of the even ones in `sizes`, since an odd
    number tells the answer. Raises `InvalidValue` for a chance outside 0 to 1, no prompts, more brackets than slots or
    than 8, or no even number in `sizes`.
    """
    check_size(n, sizes, min(slots, 8))  # at 9 open brackets the depth would read as below zero
    if not 0 <= balanced <= 1:
        raise InvalidValue(f"balanced, the share of brackets that balance, must be from 0 to 1; got {balanced}.")
    even = np.arange(sizes[0] + sizes[0] % 2, sizes[1] + 1, 2)
    if not len(even):
        raise InvalidValue(f"The sizes of brackets must include an even number; got {sizes[0]} to {sizes[1]}.")
    counts = rng.choice(even, n).astype(np.int64)
    wanted = rng.random(n) < balanced
    used = np.arange(slots) < counts[:, None]
    steps = np.zeros((n, slots), dtype=np.int64)
    left = np.arange(n)
    while len(left):  # until each row is as wanted, as at least one draw in twenty is
        drawn = np.where(used[left], rng.choice((1, -1), (len(left), slots)), 0)
        steps[left] = drawn
        depth = drawn.cumsum(1)
        left = left[((depth[:, -1] == 0) & (depth >= 0).all(1)) != wanted[left]]
    tokens = layout(np.full(n, REASON), np.where(steps > 0, OPEN, CLOSE), counts)
    return Prompts(tokens, tuple((int(w),) for w in wanted), np.zeros(n, dtype=np.int64), counts)


def balances(depths: list[int]) -> bool:
    """Whether these depths, modulo ten, end at zero without having been below."""
    return bool(depths) and depths[-1] == 0 and BELOW not in depths


def trace(rng: np.random.Generator, prompts: Prompts, slip: float) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """One pass over every prompt: the depth after each bracket, and whether these depths balance.

    With chance `slip` a depth is one too high or too low; the depths after it go on from there.
    """
    shape = prompts.tokens[:, 1:-1].shape
    off = np.where(rng.random(shape) < slip, rng.choice((1, -1), shape), 0)
    steps = np.where(prompts.tokens[:, 1:-1] == OPEN, 1, -1)
    depths = ((steps + off).cumsum(1) % 10).tolist()
    traces = [row[:size] for row, size in zip(depths, prompts.sizes.tolist(), strict=True)]
    return traces, [(int(balances(tokens)),) for tokens in traces]


def teacher(
    rng: np.random.Generator, prompts: Prompts, style: str, *, slips: Slips = "teacher", skip: float = 0.0
) -> list[list[int]]:
    """A response to each prompt, `<eos>` included; options and errors as in `chain`."""
    return respond(rng, prompts, style, trace, slips=slips, skip=skip)


def first_pass_right(prompts: Prompts, responses: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the depths of the first pass lead to the answer; False without a pass."""
    found = first_passes(prompts, responses)
    return np.array([bool(p) and (int(balances(p)),) == a for p, a in zip(found, prompts.answers, strict=True)])
