"""What goes wrong: answers agree because they are all the same; labels are too few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting


class ConsistencyCollapse(Lasting):
    """Consistency counts, answers to augmented pictures agree, and they say next to nothing, three looks in a row.

    Either the mean answer on unlabelled pictures is one grade (its entropy below half of ln C), or, as happens where
    labelled batches are balanced, each answer is nearly the same guess (information below 0.1 ln C).
    """

    id = "consistency_collapse"
    title = "Agreement by saying nothing"
    needs = ("information", "mean_entropy", "consistency_in", "coef_now")
    sees = ("information",)
    remedy = "Lower coef_cons, coef_mixup and coef_cons_mixup, or let them grow over more steps (rampup)."
    lasting, patience = 3, 2
    INFORMATION: ClassVar[float] = 0.1
    ENTROPY: ClassVar[float] = 0.5
    AGREE: ClassVar[float] = 0.02
    COUNTS: ClassVar[float] = 0.5

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        information, of_mean, inside, now = (self.known.get(n, 0.0) for n in self.needs)
        same = information < self.INFORMATION or of_mean < self.ENTROPY
        if now < self.COUNTS or not same or inside > self.AGREE:
            return None
        bad = max(1 - information / self.INFORMATION, 1 - of_mean / self.ENTROPY, 0.01)
        return {"information": information, "mean_entropy": of_mean, "consistency_in": inside, "bad": bad}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"All predictions agree because they are the same: an answer says {100 * evidence['information']:.0f} % of "
            f"what it could about its picture"
        )


class LabelStarved(Lasting):
    """Balanced accuracy on the labelled pictures is 25 points above that on test pictures, three looks in a row."""

    id = "label_starved"
    title = "Too few labels"
    needs = sees = ("train_balanced_accuracy", "balanced_accuracy")
    remedy = "More labels (n_labelled), or see what pictures without labels add (method)."
    lasting, patience = 3, 2
    GAP: ClassVar[float] = 25.0

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        train, test = (self.known[n] for n in self.needs)
        if train - test <= self.GAP:
            return None
        return {"train_balanced_accuracy": train, "balanced_accuracy": test, "bad": (train - test) / self.GAP}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Labelled pictures are graded right in {evidence['train_balanced_accuracy']:.0f} % of the cases, new ones "
            f"in {evidence['balanced_accuracy']:.0f} % (mean over grades)"
        )
