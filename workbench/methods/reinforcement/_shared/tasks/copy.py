"""Repeat some letters. Synthetic; the easiest task: nothing has to be reasoned, only slips have to be repaired."""

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
    """Draw n prompts (n, slots + 2): `R`, letters and then fillers, `=`; kind is 0 everywhere.

    Raises `InvalidValue` for no prompts, or more letters than slots.
    """
    check_size(n, sizes, slots)
    counts = rng.integers(sizes[0], sizes[1], n, endpoint=True)
    letters = rng.integers(LETTER, LETTER + 10, (n, slots))
    answers = tuple(tuple(row[:size]) for row, size in zip(letters.tolist(), counts.tolist(), strict=True))
    return Prompts(layout(np.full(n, REASON), letters, counts), answers, np.zeros(n, dtype=np.int64), counts)


def trace(rng: np.random.Generator, prompts: Prompts, slip: float) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """One pass over every prompt: its letters, each with chance `slip` one of the nine others."""
    shape = prompts.tokens[:, 1:-1].shape
    off = np.where(rng.random(shape) < slip, rng.integers(1, 10, shape), 0).tolist()
    traces = [
        [LETTER + (letter - LETTER + shift) % 10 for letter, shift in zip(row, shifts, strict=False)]
        for row, shifts in zip(operands_of(prompts), off, strict=True)
    ]
    return traces, [tuple(tokens) for tokens in traces]


def teacher(
    rng: np.random.Generator, prompts: Prompts, style: str, *, slips: Slips = "teacher", skip: float = 0.0
) -> list[list[int]]:
    """A response to each prompt, `<eos>` included; options and errors as in `chain`."""
    return respond(rng, prompts, style, trace, slips=slips, skip=skip)


def first_pass_right(prompts: Prompts, responses: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the first pass is the answer; False without a pass."""
    found = first_passes(prompts, responses)
    return np.array([tuple(p) == a for p, a in zip(found, prompts.answers, strict=True)])
