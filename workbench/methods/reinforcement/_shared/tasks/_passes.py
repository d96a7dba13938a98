"""What the tasks have in common: prompts of slots, responses of passes that may slip, the verifier. NumPy.

A response is passes joined by `V` ("verify, again"), then `A`, the answer's tokens, `<eos>`. A pass is a trace that
leads to a result. In a *slip* a step of a trace is wrong; so a long response, which tries until two passes agree, is
right more often than a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.methods.reinforcement._shared.tasks import STYLES, Prompts
from workbench.methods.reinforcement._shared.vocabulary import AGAIN, ANSWER, EOS, EQUALS, FILLER, padded

# How often a step slips in the first, second and third pass.
SLIPS = {"teacher": (0.25, 0.08, 0.02), "instruct": (0.12, 0.12, 0.12), "pretraining": (0.15, 0.15, 0.15)}
Slips = str | Sequence[float]


class Trace(Protocol):
    """One pass over every prompt."""

    def __call__(
        self, rng: np.random.Generator, prompts: Prompts, slip: float
    ) -> tuple[list[list[int]], list[tuple[int, ...]]]:
        """The passes' tokens, and the result that each leads to."""


# -- prompts ----------------------------------------------------------------------------------------------------------


def check_size(n: int, sizes: tuple[int, int], slots: int) -> None:
    """Refuse to draw fewer prompts than one, and more operands than there are slots."""
    if n < 1:
        raise InvalidValue(f"The number of prompts must be at least 1; got {n}.")
    low, high = sizes
    if not 1 <= low <= high <= slots:
        raise InvalidValue(
            f"The number of operands must go from at least 1 to at most the {slots} slots; got sizes {low} to {high}."
        )


def layout(kind_tokens: NDArray[np.int64], operands: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Prompts (n, slots + 2): kind token, operands (n, slots) of which the first `sizes` count, `=`."""
    used = np.arange(operands.shape[1]) < sizes[:, None]
    ends = np.full((len(sizes), 1), EQUALS)
    return np.concatenate([kind_tokens[:, None], np.where(used, operands, FILLER), ends], axis=1).astype(np.int64)


def operands(prompts: Prompts) -> list[list[int]]:
    """The operands of each prompt, without fillers."""
    rows = prompts.tokens[:, 1:-1].tolist()
    return [row[:size] for row, size in zip(rows, prompts.sizes.tolist(), strict=True)]


# -- the teacher ------------------------------------------------------------------------------------------------------


def chances(slips: Slips) -> tuple[float, ...]:
    """The slip of each pass: one of `SLIPS` by name, or numbers from 0 to 1, one for each pass a response may have."""
    if isinstance(slips, str):
        if slips not in SLIPS:
            raise UnknownName("slip setting", slips, SLIPS)
        return SLIPS[slips]
    if not slips or not all(0 <= slip <= 1 for slip in slips):
        raise InvalidValue(f"The slips must be one or more chances from 0 to 1, one for each pass; got {slips}.")
    return tuple(slips)


def respond(
    rng: np.random.Generator, prompts: Prompts, style: str, trace: Trace, *, slips: Slips, skip: float
) -> list[list[int]]:
    """A response to each prompt, in one of `STYLES`.

    direct: the answer alone, always right. short: one pass, and what it leads to. long: passes until the results of
    two in a row agree, at most as many as there are slips; a share `skip` of the responses stops after the first.
    Prompts of kind 1 are always answered directly. Raises `UnknownName` for another style, `InvalidValue` for a chance
    outside 0 to 1.
    """
    if style not in STYLES:
        raise UnknownName("style of response", style, STYLES)
    if not 0 <= skip <= 1:
        raise InvalidValue(f"skip, the share of responses without verification, must be from 0 to 1; got {skip}.")
    tries = chances(slips)
    tries = {"direct": (), "short": tries[:1], "long": tries}[style]
    skipped = rng.random(len(prompts)) < skip if len(tries) > 1 else np.zeros(len(prompts), dtype=bool)
    passes = [trace(rng, prompts, slip) for slip in tries]
    responses = []
    for i, (answer, kind) in enumerate(zip(prompts.answers, prompts.kinds.tolist(), strict=True)):
        response: list[int] = []
        result: tuple[int, ...] | None = None
        for tokens, results in passes if kind == 0 else ():
            before, result = result, results[i]
            response += [AGAIN, *tokens[i]] if response else tokens[i]
            if result == before or skipped[i]:
                break
        responses.append([*response, ANSWER, *(answer if result is None else result), EOS])
    return responses


# -- reading responses ------------------------------------------------------------------------------------------------


def ends(responses: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) position of the first `<eos>` of responses (n, T); T where there is none."""
    found = responses == EOS
    return np.where(found.any(1), found.argmax(1), responses.shape[1])


def verify(
    prompts: Prompts, responses: NDArray[np.int64], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """(n,) rewards: 1 where all that stands between the last `A` and the first `<eos>` is the answer, else 0.

    A response (n, T) without `<eos>` was cut off and gets 0; T is the longest that is allowed. With a mask (n, T) a
    response is only what the mask holds. Raises `InvalidValue` if the shapes don't agree.
    """
    _check(prompts, responses)
    if mask is not None:
        if mask.shape != responses.shape:
            raise InvalidValue(f"The mask must have the responses' shape {responses.shape}; got {mask.shape}.")
        responses = np.where(mask, responses, FILLER)
    end = ends(responses)
    position = np.arange(responses.shape[1])
    before = position < end[:, None]
    start = np.where((responses == ANSWER) & before, position, -1).max(1, initial=-1)
    wanted = padded(prompts.answers)
    lengths = np.array([len(answer) for answer in prompts.answers])
    right = (end < responses.shape[1]) & (start >= 0) & (end - start - 1 == lengths)
    rows, columns = np.flatnonzero(right), np.arange(wanted.shape[1])
    inside = columns < lengths[rows, None]
    given = responses[rows[:, None], np.minimum(start[rows, None] + 1 + columns, responses.shape[1] - 1)]
    right[rows] = ((given == wanted[rows]) | ~inside).all(1)
    return right.astype(np.float64)


def passes(responses: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) number of `V` in responses (n, T), up to `<eos>`."""
    inside = np.arange(responses.shape[1]) < ends(responses)[:, None]
    return ((responses == AGAIN) & inside).sum(1).astype(np.int64)


def first_passes(prompts: Prompts, responses: NDArray[np.int64]) -> list[list[int]]:
    """The tokens of each response's first pass: what stands before the first `V`, `A` or `<eos>`."""
    _check(prompts, responses)
    stops = np.isin(responses, (AGAIN, ANSWER, EOS))
    cut = np.where(stops.any(1), stops.argmax(1), responses.shape[1])
    return [row[:at] for row, at in zip(responses.tolist(), cut.tolist(), strict=True)]


def _check(prompts: Prompts, responses: NDArray[np.int64]) -> None:
    if responses.ndim != 2 or len(responses) != len(prompts):
        raise InvalidValue(f"The responses must be ({len(prompts)}, T), a row for each prompt; got {responses.shape}.")
