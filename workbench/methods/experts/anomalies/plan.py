"""Which anomaly is injected at which step: a plan that follows from the seed, and what buttons add to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from workbench.methods.experts.anomalies.knobs import KINDS

WIDE = 6  # batches of random bytes in a row
_TURN = KINDS[1:]


class Plan:
    """Of each step its anomaly, as a place in `KINDS`; `told` keeps what was injected, by step.

    Args:
        rng: a generator of keys, a function of the run's seed.
    """

    def __init__(self, rng: Callable[..., np.random.Generator]) -> None:
        self._rng = rng
        self.order = [_TURN[i] for i in rng("order").permutation(len(_TURN))]
        self.told: dict[int, int] = {}

    def add(self, kind: str, step: int) -> None:
        """Inject from this step on, whatever is planned."""
        self.told.update({step + i: KINDS.index(kind) for i in range(WIDE if kind == "wide" else 1)})

    def at(self, step: int, every: int, which: str) -> int:
        """The anomaly of the step: one in each stretch of `every` steps but the first; `which`: a kind, or all."""
        stretch = step // every
        if step not in self.told and stretch >= 1 and which != "none":
            start = stretch * every + int(self._rng("place", stretch).integers(every // 4))
            if step == start:
                self.add(self.order[(stretch - 1) % len(self.order)] if which == "all" else which, step)
        return self.of(step)

    def of(self, step: int) -> int:
        """What was injected at that step."""
        return self.told.get(step, 0)

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"told": dict(self.told)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.told = dict(state["told"])
