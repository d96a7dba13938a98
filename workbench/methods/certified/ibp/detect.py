"""What goes wrong in certified training, seen in its signals while it trains.

Rules are judged by what happens to training, not by the gain alone: with batch norm everywhere the remedy too starts at
a gain above 1e6, and recovers. Thresholds were calibrated on runs of every arm (see tests/methods/certified/ibp).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from workbench.methods.certified.ibp.condition import Condition

CLASSES = 10  # of both data sets
GUESS = math.log(CLASSES)  # cross-entropy of a constant guess


def _finite(value: Any) -> float:
    """As a number that JSON can hold and sums can take: at most 1e100, NaN as 0."""
    return float(np.clip(np.nan_to_num(np.float64(value)), -1e100, 1e100))


def _deep(values: Mapping[str, Any]) -> float:
    """Unstable share of the last two ReLU layers, the smaller of both."""
    return float(np.min(np.asarray(values["relu_unstable"])[-2:]))


class ExplodedBounds(Condition):
    """Bounds so wide that training on them gets nowhere, at eps > 0.

    The robust loss of the last 100 steps does not fall while nearly every deep ReLU is unstable, or while the bounds of
    the last ReLU layer are more than twice as wide as the signal there: arms that train stay below 1.3. (Without batch
    norm widths and signal shrink together, so that the gain looks healthy and this quotient does not.) Or the robust
    loss is above 10 ln(classes).
    """

    id = "exploded_bounds"
    title = "Exploded bounds"
    needs = ("robust_loss", "relu_unstable", "bound_gain", "relative_width", "eps")
    remedy = (
        "IBP initialisation together with batch norm on every layer, and a longer ramp. The tightness term cannot "
        "rescue bounds that have exploded."
    )
    WINDOW: ClassVar[int] = 100

    def __init__(self) -> None:
        super().__init__()
        self.losses: deque[float] = deque(maxlen=self.WINDOW)
        self.seen: dict[str, float] = {}

    def judge(self, step: int, values: Mapping[str, Any]) -> float | None:
        """See `Condition.judge`; the class says the rule."""
        if not set(self.needs) <= values.keys() or values["eps"] <= 0:
            return None
        loss, deep, relative = _finite(values["robust_loss"]), _deep(values), _finite(values["relative_width"][-1])
        self.losses.append(loss)
        half, history = self.WINDOW // 2, list(self.losses)
        stuck = len(history) == self.WINDOW and np.mean(history[half:]) >= 0.98 * np.mean(history[:half])
        if not (loss > 10 * GUESS or (stuck and (deep > 0.95 or relative > 2))):
            return 0.0
        gain = _finite(np.max(values["bound_gain"]))
        self.seen = {"robust_loss": loss, "unstable": deep, "gain": gain, "relative_width": relative}
        return max(loss / GUESS, 1.0)

    def tell(self) -> tuple[str, str, dict[str, Any]]:
        """See `Condition.tell`."""
        worst = max(self.seen["gain"], self.seen["relative_width"])
        severity = "serious" if worst > 1e3 else "warning" if worst > 10 else "info"
        sentence = (
            f"Bounds are up to {self.seen['gain']:.3g} times as wide as the input's, before the last ReLU "
            f"{self.seen['relative_width']:.3g} times as wide as the signal; {self.seen['unstable']:.0%} of the deep "
            f"ReLUs are undecided, and the robust loss stands at {self.seen['robust_loss']:.3g} (a guess: {GUESS:.2f})"
        )
        return sentence, severity, dict(self.seen)

    def memory(self) -> dict[str, Any]:
        """See `Condition.memory`."""
        return {"losses": list(self.losses), "seen": self.seen}

    def remember(self, state: Mapping[str, Any]) -> None:
        """See `Condition.remember`."""
        self.losses = deque(state["losses"], maxlen=self.WINDOW)
        self.seen = dict(state["seen"])


class ReluImbalance(Condition):
    """A layer whose ReLUs are nearly all dead, or decided far more to one side than to the other.

    A layer with less than 5 % decided ReLUs is left to `AllUnstable`: its ratio says nothing.
    """

    id = "relu_imbalance"
    title = "ReLU imbalance"
    needs = ("relu_active", "relu_inactive", "eps")
    remedy = "Batch norm behind every layer, and the ReLU balance term (reg_weight, use_balance)."

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Any] = {}

    def judge(self, step: int, values: Mapping[str, Any]) -> float | None:
        """See `Condition.judge`; the class says the rule."""
        if not {"relu_active", "relu_inactive", "eps"} <= values.keys() or values["eps"] <= 0:
            return None
        active, inactive = (np.asarray(values[n], dtype=np.float64) for n in ("relu_active", "relu_inactive"))
        larger = np.maximum(active, inactive)
        ratio = np.minimum(active, inactive) / np.maximum(larger, 1e-12)
        bad = (inactive > 0.8) | ((ratio < 0.1) & (active + inactive > 0.05))
        if not bad.any():
            return 0.0
        worst = int(np.argmax(np.where(bad, inactive, -1.0)))
        self.seen = {
            "layer": worst, "active": float(active[worst]), "inactive": float(inactive[worst]), "layers": int(bad.sum())
        }  # fmt: skip
        return float(bad.sum())

    def tell(self) -> tuple[str, str, dict[str, Any]]:
        """See `Condition.tell`."""
        layer = self.component("relu_inactive", self.seen["layer"])
        sentence = (
            f"ReLU states are out of balance in {self.seen['layers']} layer(s): in {layer} {self.seen['inactive']:.0%} "
            f"are provably dead and {self.seen['active']:.0%} provably active"
        )
        return sentence, "serious" if self.seen["inactive"] > 0.8 else "warning", dict(self.seen)

    def memory(self) -> dict[str, Any]:
        """See `Condition.memory`."""
        return {"seen": self.seen}

    def remember(self, state: Mapping[str, Any]) -> None:
        """See `Condition.remember`."""
        self.seen = dict(state["seen"])


class AllUnstable(Condition):
    """Bounds so wide that no deep ReLU is decided, while eps > 0."""

    id = "all_unstable"
    title = "All ReLUs unstable"
    needs = ("relu_unstable", "eps")
    remedy = "Bounds are too wide for any neuron to be decided: a slower ramp, IBP initialisation."

    def __init__(self) -> None:
        super().__init__()
        self.deep = 0.0

    def judge(self, step: int, values: Mapping[str, Any]) -> float | None:
        """See `Condition.judge`; the class says the rule."""
        if not {"relu_unstable", "eps"} <= values.keys() or values["eps"] <= 0:
            return None
        deep = _deep(values)
        if deep <= 0.95:
            return 0.0
        self.deep = deep
        return 1.0

    def tell(self) -> tuple[str, str, dict[str, Any]]:
        """See `Condition.tell`."""
        sentence = f"The bounds leave at least {self.deep:.1%} of the ReLUs in both of the last two layers undecided"
        return sentence, "warning", {"unstable": self.deep}

    def memory(self) -> dict[str, Any]:
        """See `Condition.memory`."""
        return {"deep": self.deep}

    def remember(self, state: Mapping[str, Any]) -> None:
        """See `Condition.remember`."""
        self.deep = state["deep"]


class CertifiedCollapse(Condition):
    """The network answers the same for every image once eps > 0 (the probe holds equally many of each class)."""

    id = "certified_collapse"
    title = "Collapse to a constant"
    needs = ("clean_err", "eps")
    remedy = "The network gave up: a lower epsilon, a slower ramp, IBP initialisation with batch norm."
    lasting = 3  # probes
    patience = 3

    def __init__(self) -> None:
        super().__init__()
        self.error = 0.0

    def judge(self, step: int, values: Mapping[str, Any]) -> float | None:
        """See `Condition.judge`; the class says the rule."""
        if not {"clean_err", "eps"} <= values.keys() or values["eps"] <= 0:
            return None
        error = float(values["clean_err"])
        if error < 100 * (1 - 1 / CLASSES) - 1:
            return 0.0
        self.error = error
        return 1.0

    def tell(self) -> tuple[str, str, dict[str, Any]]:
        """See `Condition.tell`."""
        sentence = f"The clean error is {self.error:.1f} %, that of a constant guess"
        return sentence, "serious", {"clean_err": self.error}

    def memory(self) -> dict[str, Any]:
        """See `Condition.memory`."""
        return {"error": self.error}

    def remember(self, state: Mapping[str, Any]) -> None:
        """See `Condition.remember`."""
        self.error = state["error"]


class RampTooFast(Condition):
    """While eps rises the robust loss rises by more than half within 20 steps, to more than 3 ln(classes).

    The level keeps it quiet about the first steps of any ramp, where the loss leaves that of clean images: the remedy
    peaks there at about 2 ln(classes) and comes down, the arm that collapses at 12.
    """

    id = "ramp_too_fast"
    title = "Ramp too fast"
    needs = ("robust_loss", "eps")
    remedy = "A longer ramp (ramp_epochs), or hold eps (freeze_eps) until the loss has come down."
    lasting = 1
    WINDOW: ClassVar[int] = 20

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[tuple[float, float]] = deque(maxlen=self.WINDOW + 1)
        self.level = self.eps = 0.0

    def judge(self, step: int, values: Mapping[str, Any]) -> float | None:
        """See `Condition.judge`; the class says the rule."""
        if not {"robust_loss", "eps"} <= values.keys():
            return None
        self.recent.append((_finite(values["robust_loss"]), float(values["eps"])))
        if len(self.recent) <= self.WINDOW:
            return None
        losses = np.array([loss for loss, _ in self.recent])
        # three steps at either end: one unlucky batch is not a ramp
        before, after = float(losses[:3].mean()), float(losses[-3:].mean())
        ratio = after / max(before, 1e-12)
        rising = self.recent[-1][1] > self.recent[0][1]
        if not (rising and ratio > 1.5 and after > 3 * GUESS):
            return 0.0
        self.level, self.eps = after, self.recent[-1][1]
        return ratio

    def tell(self) -> tuple[str, str, dict[str, Any]]:
        """See `Condition.tell`."""
        sentence = (
            f"The robust loss rose up to {self.episode.peak:.1f}-fold within {self.WINDOW} steps, to {self.level:.3g}, "
            f"while eps rose to {self.eps:.3g}"
        )
        return sentence, "warning", {"ratio": self.episode.peak, "robust_loss": self.level, "eps": self.eps}

    def memory(self) -> dict[str, Any]:
        """See `Condition.memory`."""
        return {"recent": [list(r) for r in self.recent], "level": self.level, "eps": self.eps}

    def remember(self, state: Mapping[str, Any]) -> None:
        """See `Condition.remember`."""
        self.recent = deque(((loss, eps) for loss, eps in state["recent"]), maxlen=self.WINDOW + 1)
        self.level, self.eps = state["level"], state["eps"]
