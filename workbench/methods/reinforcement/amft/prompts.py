"""Which sums are trained on and which are held out: a checksum of the prompt decides, so the two never meet."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.tasks import Prompts, chain

SLOTS = 7
INSIDE, OUTSIDE = (3, 5), (6, 7)  # numbers of operands: trained on, and only asked
SHARE = 8  # one prompt in so many is held out


def held_out(prompts: Prompts) -> NDArray[np.bool_]:
    """(n,) whether each prompt is kept from training: by its tokens alone, whatever the seed."""
    return np.array([zlib.crc32(row.astype(np.int64).tobytes()) % SHARE == 0 for row in prompts.tokens])


def draw(rng: np.random.Generator, n: int, *, held: bool, sizes: tuple[int, int] = INSIDE) -> Prompts:
    """n sums of `sizes` operands from one side of the line (prompts (n, 9)): held out, or for training."""
    drawn = SHARE * n + 64 if held else 2 * n + 16
    while True:
        prompts = chain.sample(rng, drawn, reasoning=1.0, sizes=sizes, slots=SLOTS)
        rows = np.flatnonzero(held_out(prompts) == held)
        if len(rows) >= n:
            return prompts.take(rows[:n])
        drawn *= 2


def check_apart(training: Prompts, validation: Prompts) -> None:
    """Raises `InvalidValue`, with the count, where prompts for validation are also trained on."""
    known = {row.tobytes() for row in training.tokens}
    shared = sum(row.tobytes() in known for row in validation.tokens)
    if shared:
        raise InvalidValue(
            f"{shared} of the {len(validation)} prompts for validation are also trained on: mu would be steered by "
            "what is known by heart. Take them out of one of the two."
        )
