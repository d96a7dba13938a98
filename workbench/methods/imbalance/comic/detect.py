"""What goes wrong with missing labels: recalled labels that are false, and rare classes that are never predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting


class FalseRecall(Lasting):
    """Two epochs in a row labels are recalled that audits rule out to be half true, or by a threshold that drifts.

    Adrift: it is one threshold for all classes, and the mean probability is over twice the density of true labels.
    """

    id = "false_recall"
    title = "The corrector invents labels"
    sees = ("recalled_per_epoch",)
    needs = ("recalled_per_epoch", "audited_bound", "fixed_threshold", "mean_probability", "label_density")
    remedy = "Raise tau or lower gamma_neg, or gate the corrector (corrector=gated)."
    lasting = 2
    patience = 1
    HALF: ClassVar[float] = 50.0
    ADRIFT: ClassVar[float] = 2.0

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        recalled, bound = self.known["recalled_per_epoch"], self.known.get("audited_bound", 100.0)
        drift = self.known["mean_probability"] / self.known["label_density"]
        if not recalled or (bound >= self.HALF and not (self.known["fixed_threshold"] and drift > self.ADRIFT)):
            return None
        return {"recalled": recalled, "bound": bound, "drift": drift}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        if evidence["bound"] < self.HALF:
            why = f"audits leave at most {evidence['bound']:.0f} % of them true"
        else:
            why = (
                f"by one threshold, and probabilities are {evidence['drift']:.1f} times as high as labels are frequent"
            )
        return f"{evidence['recalled']:.0f} labels are recalled an epoch, {why}"


class TailSilence(Lasting):
    """For two epochs some class is given a probability of one half to no test example at all."""

    id = "tail_silence"
    title = "Classes never predicted"
    sees = needs = ("silent_classes",)
    remedy = "Weight or focus the loss (multi_focal, asymmetric), or ask who recorded so few of these labels."
    lasting = 2
    patience = 1

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        silent = self.known["silent_classes"]
        return {"bad": silent, "silent": silent} if silent else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"No test example gets a probability of one half for {evidence['silent']:.0f} of the classes"
