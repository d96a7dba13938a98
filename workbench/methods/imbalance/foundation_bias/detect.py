"""Which of the two tails a run suffers from, told by gaps beyond those of an encoder pretrained on even classes.

The plain gaps would not do: with ten classes they tell which of them are hard (measured over five seeds after logit
adjustment: from -16 to +29 points by pretraining, from -16 to +26 downstream).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting

DATA, PARAMETERS, OVER = 10.0, 5.0, 3.0  # percentage points; parameter imbalance is over below the last


class ParameterImbalance(Lasting):
    """No data imbalance, yet classes rare in pretraining are more than 5 points behind, at three looks in a row."""

    id = "parameter_imbalance"
    title = "Parameter imbalance"
    needs = sees = ("bias_P", "bias_D")
    lasting: ClassVar[int] = 3
    patience: ClassVar[int] = 1
    remedy = "Logit adjustment cannot see it: mix models of other pretraining, and compare an ensemble of one."

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        bias_P, bias_D = self.known["bias_P"], self.known["bias_D"]
        border = OVER if self.streak.episode.open else PARAMETERS  # at the border it is told once
        if bias_D > DATA or bias_P <= border:
            return None
        return {"bad": bias_P / PARAMETERS, "bias_P": bias_P, "bias_D": bias_D}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"Data imbalance is handled (classes rare downstream are {evidence['bias_D']:+.0f} points behind), "
            f"parameter imbalance is not (those rare in pretraining: {evidence['bias_P']:+.0f})"
        )


class DataImbalance(Lasting):
    """Classes that are rare downstream stay more than 10 points behind, at three looks in a row."""

    id = "data_imbalance"
    title = "Data imbalance"
    needs = sees = ("bias_D",)
    lasting: ClassVar[int] = 3
    patience: ClassVar[int] = 1
    remedy = "Adjust the logits by the downstream shares (loss: la)."

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        bias = self.known["bias_D"]
        return {"bad": bias / DATA, "bias_D": bias} if bias > DATA else None

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return f"Classes that are rare downstream are {evidence['bias_D']:.0f} points behind those that are frequent"
