"""Knobs of multimodal/arl."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.cards import control
from workbench.cards.parts import names
from workbench.methods.multimodal._shared.knobs import BALANCE, STRATEGIES, MultimodalConfig

SHARPNESS = "Coefficients"
COEFFICIENTS = ("arl", "constant", "reversed", "off")


@dataclass
class Arl(MultimodalConfig):
    """The common part, and how asymmetric the encoders' gradients are made."""

    method: str = control(
        "arl", choices=names(STRATEGIES, first="arl"), when="stage", stage="epoch", group=BALANCE,
        help="joint: the fused loss alone; uniform: and those of both read-outs; the others weigh losses or gradients",
    )  # fmt: skip
    coefficients: str = control(
        "arl", choices=COEFFICIENTS, group=BALANCE,
        help="arl: 1 + c times the gradient, more for the less used and less variable modality; constant: 1.5 for "
        "both, as the released code runs; reversed: exchanged; off: 1",
    )  # fmt: skip
    T: float = control(
        8.0, min=0, max=20, group=SHARPNESS, help="arl: how sharply the coefficients part; at 0 both are 1.5"
    )
    entropy_clip: float = control(
        0.3, min=0, max=0.49, label="entropy clip", group=SHARPNESS,
        help="arl: the least share of the entropies that either modality is given",
    )  # fmt: skip
