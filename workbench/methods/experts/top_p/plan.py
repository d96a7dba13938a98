"""When each network's turn is: the base, a specialist a domain, the gate, everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.methods.experts._shared.lab import cosine
from workbench.methods.experts.top_p.knobs import TopPConfig


class Plan:
    """First steps of the stages: of those that began, as it was; of the others, as the configuration has it now.

    So a length that is changed between two stages moves those to come and leaves those behind alone. Register it.

    Attributes:
        began: first steps of the stages that began, the base's first.
    """

    def __init__(self, config: TopPConfig) -> None:
        self.config = config
        self.began = [0]

    @property
    def borders(self) -> tuple[int, ...]:
        """The first step of each stage but the base: the specialists, the gate, everything."""
        c, starts = self.config, list(self.began)
        lengths = [c.base_steps, *[c.specialist_steps] * len(c.domains), c.gate_steps]
        for length in lengths[len(starts) - 1 :]:
            starts.append(starts[-1] + length)
        return tuple(starts[1:])

    @property
    def next(self) -> int:
        """The first step of the next stage that has not begun."""
        return self.borders[len(self.began) - 1]

    @property
    def mixed(self) -> int:
        """The step from which on all specialists have trained."""
        return self.borders[-2]

    def pace(self, step: int) -> float:
        """Share of the learning rate: a warm-up and a cosine for each dense network, and one for the mixture."""
        c = self.config
        if step >= self.mixed:
            return cosine(step - self.mixed, c.steps - self.mixed, c.warmup)
        starts = (0, *self.borders[:-1])
        at = sum(step >= start for start in starts) - 1
        return cosine(step - starts[at], starts[at + 1] - starts[at], c.warmup)

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"began": list(self.began)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.began = list(state["began"])
