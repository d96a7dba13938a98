"""The dynamic exponential moving average of weights, a coefficient for each tensor and step. Needs torch alone.

With theta* the average before the step, theta the weights after it, g the gradient just used and g' the one before:
a = |theta - theta*|_1, b = |g|_1, c = |g - g'|_1, alpha = 2 (1 + b) / (a c); theta* moves by alpha (theta - theta*).
Where alpha is not inside (0, 1) a constant is used (CoIN repository, peft/tuners/lora.py: ema_update). The norms are
sums, so a c grows with the square of a tensor's size and b with its size: small tensors get the constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue

FACTOR, FALLBACK = 2.0, 0.01  # the authors' constants


@dataclass(frozen=True)
class Moved:
    """One update, in the order of the tensors.

    Attributes:
        alpha: coefficients in force; 0 where a tensor was skipped.
        raw: the formula's value before the test; NaN where there is none (a tensor's first step, skipped, fixed).
        norms: (a, b, c) of each tensor; NaN as in `raw`.
        dynamic: whether the coefficient is the formula's.
        skipped: names of the tensors without a gradient, which stayed as they were.
    """

    alpha: list[float]
    raw: list[float]
    norms: list[tuple[float, float, float]]
    dynamic: list[bool]
    skipped: tuple[str, ...]

    @property
    def judged(self) -> bool:
        """Whether the formula was computed for any tensor."""
        return any(not math.isnan(r) for r in self.raw)


class DynamicEma:
    """Averages named tensors that an optimiser trains; register it, its state is averages and last gradients.

    Training goes on with the tensors themselves; the average does not feed back until `replace`. Raises `InvalidValue`
    if there is nothing to average.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        if not tensors:
            raise InvalidValue(
                "There is nothing to average: the model has no trainable adapters. Put adapters on it first "
                "(apply_lora)."
            )
        self.tensors = dict(tensors)
        self.average: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Forget averages and gradients: a new task."""
        self.average, self.gradients = {}, {}

    @property
    def bytes(self) -> int:
        """Memory that averages and gradients take, beside the weights."""
        return sum(t.numel() * t.element_size() for part in (self.average, self.gradients) for t in part.values())

    @torch.no_grad()
    def update(self, *, decay: float | None = None, factor: float = FACTOR, fallback: float = FALLBACK) -> Moved:
        """Move the average after an optimiser step, while the gradients still stand.

        `decay`: a constant average with alpha = 1 - decay; None: the formula, with `factor` in place of 2. A tensor's
        first step starts its average as a copy of it.
        """
        alpha, raw, norms, dynamic, skipped = [], [], [], [], []
        for name, weight in self.tensors.items():
            gradient, value, abc = weight.grad, math.nan, (math.nan, math.nan, math.nan)
            step = fallback if decay is None else 1 - decay
            if gradient is None:
                skipped.append(name)
                step = 0.0
            elif name not in self.average:
                self.average[name] = weight.detach().clone()
            elif decay is None:
                abc = self._norms(name, weight, gradient)
                value = coefficient(abc, factor)
            inside = 0 < value < 1  # False for NaN
            step = value if inside else step
            if gradient is not None:
                average = self.average[name]
                average.copy_((1 - step) * average + step * weight)
                self.gradients[name] = gradient.detach().clone()
            alpha.append(step)
            raw.append(value)
            norms.append(abc)
            dynamic.append(inside)
        return Moved(alpha, raw, norms, dynamic, tuple(skipped))

    def _norms(self, name: str, weight: Tensor, gradient: Tensor) -> tuple[float, float, float]:
        parts = (weight - self.average[name], gradient, gradient - self.gradients[name])
        a, b, c = torch.stack([part.abs().sum() for part in parts]).tolist()  # one transfer
        return a, b, c

    @torch.no_grad()
    def distance(self) -> float:
        """|theta - theta*|_1 / |theta|_1 over all tensors that have an average."""
        pairs = [(self.tensors[name], average) for name, average in self.average.items()]
        apart = sum(float((weight - average).abs().sum()) for weight, average in pairs)
        return apart / max(sum(float(weight.abs().sum()) for weight, _ in pairs), 1e-30)

    @torch.no_grad()
    def replace(self) -> None:
        """Set the weights to their averages, as copies (the authors' code lets them share their memory)."""
        for name, average in self.average.items():
            self.tensors[name].copy_(average)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Averages and last gradients by name."""
        return {"average": self.average, "gradients": self.gradients}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.average, self.gradients = ({n: t.clone() for n, t in state[k].items()} for k in ("average", "gradients"))


def coefficient(norms: tuple[float, float, float], factor: float = FACTOR) -> float:
    """factor (1 + b) / (a c) of norms (a, b, c); infinite where the average is the weight or the gradient stands."""
    a, b, c = norms
    return factor * (1 + b) / (a * c) if a * c else math.inf
