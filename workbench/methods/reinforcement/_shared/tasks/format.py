"""Sum some digits, and put the answer into a frame: `A = s =`. Synthetic; a sum without its frame is worth nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.methods.reinforcement._shared.tasks import Prompts, chain
from workbench.methods.reinforcement._shared.tasks._passes import Slips, first_passes, passes, respond, verify
from workbench.methods.reinforcement._shared.vocabulary import EQUALS, text

__all__ = ["first_pass_right", "passes", "sample", "teacher", "text", "trace", "verify"]


def framed(result: tuple[int, ...]) -> tuple[int, ...]:
    """A result inside its frame."""
    return (EQUALS, *result, EQUALS)


def sample(rng: np.random.Generator, n: int, *, sizes: tuple[int, int] = (3, 5), slots: int = 5) -> Prompts:
    """Draw n prompts (n, slots + 2) as `chain` does, all of kind `R`; options and errors are the same."""
    drawn = chain.sample(rng, n, reasoning=1, sizes=sizes, slots=slots)
    return Prompts(drawn.tokens, tuple(framed(a) for a in drawn.answers), drawn.kinds, drawn.sizes)


def trace(rng: np.random.Generator, prompts: Prompts, slip: float) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """One pass over every prompt, as in `chain`, and its sum in the frame."""
    traces, results = chain.trace(rng, prompts, slip)
    return traces, [framed(result) for result in results]


def teacher(
    rng: np.random.Generator, prompts: Prompts, style: str, *, slips: Slips = "teacher", skip: float = 0.0
) -> list[list[int]]:
    """A response to each prompt, `<eos>` included; options and errors as in `chain`."""
    return respond(rng, prompts, style, trace, slips=slips, skip=skip)


def first_pass_right(prompts: Prompts, responses: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether the last token of the first pass is the sum; False without a pass."""
    found = first_passes(prompts, responses)
    return np.array([tuple(p[-1:]) == a[1:-1] for p, a in zip(found, prompts.answers, strict=True)])
