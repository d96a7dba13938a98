"""What goes wrong: the network follows colour, the OoD method walks away from shape, the penalty stands still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from workbench.cards.findings import Finding
from workbench.detectors.lasting import Lasting
from workbench.methods.imbalance.bonsai.knobs import ROUNDS

SYNTHESIS, OOD = ROUNDS, ROUNDS + 1  # stages


class Shortcut(Lasting):
    """Colour reliance above 30 points in three looks, and not on its way down.

    Not in synthesis, whose heads follow colour by design; the OoD method has to leave it from there.
    """

    id = "shortcut"
    title = "The model follows colour"
    needs = ("colour_reliance", "stage")
    sees = ("colour_reliance",)
    remedy = "Discover other features first: start='rfc'."
    lasting, patience = 3, 2
    KEPT = ("before",)
    RELIANCE: ClassVar[float] = 30.0
    DOWN: ClassVar[float] = 0.5  # points from one look to the next

    def __init__(self) -> None:
        super().__init__()
        self.before = 0.0

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        reliance, before = self.known["colour_reliance"], self.before
        self.before = reliance
        if reliance <= self.RELIANCE or reliance < before - self.DOWN or self.known.get("stage") == SYNTHESIS:
            return None
        return {"colour_reliance": reliance, "bad": reliance}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        lost = evidence["colour_reliance"]
        return f"The model follows colour: where colour is mostly flipped it is right {lost:.0f} points less often"


class OodDecay(Lasting):
    """In the OoD stage the worst accuracy stays 5 points below its best while the loss is lower than at that best."""

    id = "ood_decay"
    title = "Walking away from the invariant solution"
    needs = ("worst_test_acc", "best_worst_acc", "loss", "stage")
    sees = ("worst_test_acc",)
    remedy = "Freeze rich features: start='rfc' with freeze on; or stop at the best."
    lasting, patience = 2, 2
    KEPT = ("at_best",)
    FALL: ClassVar[float] = 5.0
    COIN: ClassVar[float] = 50.0  # what untrained weights reach, from which a fall is none

    def __init__(self) -> None:
        super().__init__()
        self.at_best = float("inf")

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        worst, best, loss, stage = (self.known.get(n, 0.0) for n in self.needs)
        if stage != OOD:
            return None
        if worst >= best:
            self.at_best = loss
        fall = best - worst
        if fall <= self.FALL or best <= self.COIN + self.FALL or loss >= self.at_best:
            return None
        evidence = {"worst_test_acc": worst, "best_worst_acc": best, "loss": loss, "loss_at_best": self.at_best}
        return {**evidence, "bad": fall}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Optimisation is walking away from the invariant solution: accuracy in the worst colouring is "
            f"{evidence['worst_test_acc']:.0f} %, and was {evidence['best_worst_acc']:.0f} %, while the loss falls"
        )


class PenaltyStall(Lasting):
    """The penalty falls by less than 1 % in 100 steps while training accuracy is that of a constant answer."""

    id = "penalty_stall"
    title = "Penalty too strong to optimise"
    needs = ("penalty", "train_acc", "majority", "worst_test_acc")
    sees = ("worst_test_acc", "penalty")
    remedy = "Lower penalty_weight, or start from features that are there: start='erm' or 'rfc'."
    lasting, patience = 2, 2
    KEPT = ("at", "past")
    OVER, FALL, NEAR = 100, 0.01, 2.0  # steps, share, points

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.past: list[list[float]] = []  # step and penalty of the looks in the last 100 steps, and one before

    def update(self, step: int, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Judged where the test pictures are looked at."""
        self.at = step
        if "worst_test_acc" in values:
            yield from super().update(step, values)
        else:
            self.known.update({n: float(v) for n, v in values.items() if n in self.needs})

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        penalty = self.known["penalty"]
        while len(self.past) > 1 and self.past[1][0] <= self.at - self.OVER:
            self.past.pop(0)
        before = self.past[0] if self.past else [self.at, penalty]
        self.past.append([self.at, penalty])
        over = self.known.get("train_acc", 100.0) - self.known.get("majority", 0.0)
        if self.at - before[0] < self.OVER or abs(over) > self.NEAR or penalty < (1 - self.FALL) * before[1]:
            return None
        return {"penalty": penalty, "penalty_before": before[1], "over_majority": over, "bad": 1.0}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        now, before, over = (evidence[n] for n in ("penalty", "penalty_before", "over_majority"))
        return (
            f"The penalty is too strong to optimise: it is {now:.2g}, was {before:.2g} a hundred steps before, and "
            f"training accuracy is {abs(over):.1f} points from that of a constant answer"
        )
