"""How far a loss stands above its recent ones."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

WINDOW = 50  # losses that median and scatter are taken from
FEWEST = 20  # before so many nothing is judged


class Judge:
    """The robust z-score of each loss against the `WINDOW` before it: (loss − median) / (1.4826 MAD).

    Losses that stand out enter the window too, so that a lasting new level is accepted once it fills half of it. The
    scatter counts as at least 1 % of the median: a constant loss has none. Iglewicz and Hoaglin, How to Detect and
    Handle Outliers, 1993.
    """

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=WINDOW)

    def score(self, loss: float) -> float:
        """The score of one more loss; 0 while there are too few before it, infinite where it is not finite."""
        if not math.isfinite(loss):
            return math.inf
        found = self._against(loss) if len(self.recent) >= FEWEST else 0.0
        self.recent.append(loss)
        return found

    def _against(self, loss: float) -> float:
        middle = median(self.recent)
        scatter = 1.4826 * median(abs(value - middle) for value in self.recent)
        scatter = max(scatter, 0.01 * abs(middle))
        return (loss - middle) / scatter if scatter else 0.0

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"recent": list(self.recent)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.recent = deque(state["recent"], maxlen=WINDOW)
