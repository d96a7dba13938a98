"""The radius during training: smoothed warm-up, and what a target that moves while it runs does to it.

Smoothed schedule (Shi et al. 2021; auto_LiRPA's SmoothedScheduler): 0 up to S0, a (step - S0)^beta up to
Sm = S0 + int((S1 - S0) mid), then linear to the target at S1 with matching slope.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


def smoothed(step: int, start: int, end: int, target: float, mid: float = 0.25, beta: float = 4.0) -> float:
    """Radius at a step (from 0): exponential, then linear, from 0 at `start` to `target` at `end` (both in steps)."""
    if step >= end:
        return target
    if step <= start:
        return 0.0
    bend = start + int((end - start) * mid)
    if bend == start:
        return target * (step - start) / (end - start)
    slope = (bend - start) ** (beta - 1)
    a = target / ((end - bend) * beta * slope + (bend - start) * slope)
    if step < bend:
        return float(a * (step - start) ** beta)
    at_bend = a * (bend - start) ** beta
    return float(at_bend + (target - at_bend) * (step - bend) / (end - bend))


def ramp_steps(start_epoch: int, ramp_epochs: int, steps_per_epoch: int) -> tuple[int, int]:
    """(S0, S1) in steps for a ramp that begins with epoch `start_epoch` (from 1) and lasts `ramp_epochs`."""
    return (start_epoch - 1) * steps_per_epoch, (start_epoch - 1 + ramp_epochs) * steps_per_epoch


@dataclass(slots=True)
class LiveRadius:
    """The current radius, when target, end of ramp and a freeze may change at any step.

    Untouched, it is `smoothed`. A target moved before the ramp reshapes it; during the ramp the radius runs on
    linearly from its present value to the new target at the ramp's end; after the ramp it acts at once. A target
    below the present value clamps at once. Frozen, the radius holds (a lower target still clamps); released, it
    runs on linearly, or at once when the ramp is over. A moved end of the ramp bends the run-on likewise.
    A function of the calls made, nothing else: `state_dict` is all there is to checkpoint.
    """

    mid: float = 0.25
    beta: float = 4.0
    value: float = 0.0
    start: int = -1
    end: int = -1
    target: float = -1.0
    frozen: bool = False
    anchor_step: int = -1
    anchor_value: float = 0.0

    def advance(self, step: int, *, start: int, end: int, target: float, frozen: bool = False) -> float:
        """Radius for this step; call once a step, in order, with the settings now in force."""
        changed = (start, end, target) != (self.start, self.end, self.target)
        released = self.frozen and not frozen
        began = self.start >= 0 and step > min(self.start, start)
        if began and (changed or released):
            self.anchor_step, self.anchor_value = step - 1, self.value
        elif changed and not began:
            self.anchor_step = -1
        self.start, self.end, self.target, self.frozen = start, end, target, frozen
        self.value = min(self.value, target) if frozen else min(self._free(step), target)
        return self.value

    def _free(self, step: int) -> float:
        if step >= self.end:
            return self.target
        if self.anchor_step < 0:
            return smoothed(step, self.start, self.end, self.target, self.mid, self.beta)
        done = (step - self.anchor_step) / (self.end - self.anchor_step)
        return self.anchor_value + (self.target - self.anchor_value) * done

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain numbers."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, value)
