"""What moves mu, the weight of imitation: a gradient through one step of training, and an entropy to come back to.

Reconstructed from the abstract of AMFT (arXiv 2508.06944), which names a meta-gradient of long-term validation reward
and an entropy that regularises it. Gradients are vectors (P,), all parameters in a row.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue

MODES = ("off", "entropy", "meta", "both")
WINDOW = 5  # estimates of the utility's gradient that are averaged: a single one is mostly noise
DECAY = 0.9  # of the running means of the meta-gradient and its square


def mixture(rl: Tensor, sft: Tensor, mu: float) -> Tensor:
    """Gradient (P,) of (1 - mu) L_RL + mu L_SFT. Raises `InvalidValue` for a mu outside 0 to 1."""
    if not 0 <= mu <= 1:
        raise InvalidValue(f"mu, the weight of imitation, must be from 0 to 1; got {mu}.")
    return (1 - mu) * rl + mu * sft


def look_ahead(theta: Tensor, rl: Tensor, sft: Tensor, mu: float, eta: float) -> Tensor:
    """Parameters (P,) after one plain gradient step of length `eta` on the mixture."""
    return theta - eta * mixture(rl, sft, mu)


def meta_gradient(utility: Tensor, rl: Tensor, sft: Tensor, eta: float) -> float:
    """dU/dmu through that step: eta times the utility's gradient there, dot (g_RL - g_SFT). No second derivatives."""
    return float(eta * torch.dot(utility.double(), (rl - sft).double()))


def cosine(a: Tensor, b: Tensor) -> float | None:
    """Cosine of two gradients; None where one of them is 0."""
    norms = float(a.norm() * b.norm())
    return float(torch.dot(a, b)) / norms if norms > 0 else None


def entropy_gap(entropy: float, target: float) -> float:
    """Nats above the target: above it the policy is too random and should imitate more, below it less."""
    return entropy - target


class Controller:
    """mu and what it is moved by; register it.

    Attributes:
        mu: the weight of imitation.
        estimates: the last gradients (P,) of the utility.
        mean, square: running means of the meta-gradient and of its square, without their correction for few values.
        count: meta-gradients so far.
        skipped: meta-steps that had no gradient to take.
    """

    def __init__(self, mu: float) -> None:
        self.mu = mu
        self.estimates: deque[Tensor] = deque(maxlen=WINDOW)
        self.mean = self.square = 0.0
        self.count = self.skipped = 0

    def take(self, utility: Tensor, rl: Tensor, sft: Tensor, eta: float) -> float:
        """One more gradient of the utility: the meta-gradient with the mean of the last few."""
        self.estimates.append(utility)
        found = meta_gradient(torch.stack(list(self.estimates)).mean(0), rl, sft, eta)
        self.mean = DECAY * self.mean + (1 - DECAY) * found
        self.square = DECAY * self.square + (1 - DECAY) * found**2
        self.count += 1
        return found

    def normalised(self) -> float:
        """The running mean in units of the running root mean square, -1 to 1: its sign, as far as it is steady."""
        # Both means lack the same factor 1 - DECAY^count.
        scale = math.sqrt(self.square * (1 - DECAY**self.count))
        return self.mean / scale if scale > 0 else 0.0

    def move(self, meta: float, entropy: float, low: float, high: float) -> None:
        """Add what the two drives say, within bounds."""
        self.mu = min(high, max(low, self.mu + meta + entropy))

    def state_dict(self) -> dict[str, Any]:
        """Numbers and tensors."""
        return {**vars(self), "estimates": list(self.estimates)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        vars(self).update(state, estimates=deque(state["estimates"], maxlen=WINDOW))
