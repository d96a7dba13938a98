"""What both experiments declare: the same knobs and curves, so that every fault can happen to either."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from workbench.cards import SGD, Action, Arm, Card, Config, Optimizer, Paper, Preset, Signal, View, control


@dataclass
class Tiny(Config):
    """Knobs of a regression that takes a fraction of a millisecond a step."""

    steps: int = control(400, min=1, max=10**7, scale="log", when="launch", help="training batches")
    strength: float = control(1.0, min=0, max=10**6, help="factor of the loss")
    pace: float = control(1.0, min=0, max=1000, unit="ms", help="waiting time a step")
    width: int = control(24, min=2, max=10**6, when="launch", help="hidden units: how big a checkpoint is")
    optimizer: Optimizer = field(default_factory=lambda: SGD(lr=0.05, momentum=0.9))


CARD = Card(
    title="Tiny regression",
    paper=Paper("None", "none", 2026),
    phenomenon="None: it is there to be interrupted.",
    remedy="None.",
    config=Tiny,
    signals=(
        Signal("loss", "mean squared error times strength", main=True),
        Signal("norm", "norm of all weights"),
        Signal("strength", "the factor in use"),
        Signal("lr", "the rate in use"),
        Signal("shrinks", "how often the action was done"),
        Signal("cpu", "processor time of the training thread so far", "µs", deterministic=False),
        Signal("outputs", "the first outputs of the batch", shape="vector", axis="sample"),
    ),
    views=(View("loss", "Loss", series=("loss",)), View("outputs", "Outputs", series=("outputs",))),
    arms=(Arm("as_is", "as it is", "phenomenon"), Arm("same", "the same", "remedy")),
    presets=(Preset("smoke", {"steps": 40}), Preset("tour"), Preset("full")),
    actions=(Action("shrink", "Shrink", "Multiply every weight by 0.9."),),
    detectors=("spike",),
)


def card(module: str) -> Card:
    """The card of one of them."""
    return dataclasses.replace(CARD, module=module)
