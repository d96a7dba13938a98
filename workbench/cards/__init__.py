"""The vocabulary: controls, signals, views, arms, claims, cards and the registry. Standard library only."""

from workbench.cards.controls import (
    RESERVED,
    SGD,
    Adam,
    AdamW,
    Config,
    Control,
    Optimizer,
    check,
    control,
    controls_of,
)
from workbench.cards.declarations import (
    Action,
    Arm,
    Card,
    Claim,
    Comparison,
    Paper,
    Preset,
    Probe,
    Reference,
    Series,
    Signal,
    View,
)
from workbench.cards.errors import (
    InvalidValue,
    MissingData,
    NotAllowed,
    RunFailed,
    StoreError,
    UnknownName,
    WorkbenchError,
)
from workbench.cards.findings import Finding
from workbench.cards.guard import Guard
from workbench.cards.protocols import SessionProtocol
from workbench.cards.registry import card, experiments

__all__ = [
    "RESERVED", "SGD", "Action", "Adam", "AdamW", "Arm", "Card", "Claim", "Comparison", "Config", "Control", "Finding",
    "Guard", "InvalidValue", "MissingData", "NotAllowed", "Optimizer", "Paper", "Preset", "Probe", "Reference",
    "RunFailed", "Series", "SessionProtocol", "Signal", "StoreError", "UnknownName", "View", "WorkbenchError", "card",
    "check", "control", "controls_of", "experiments",
]  # fmt: skip
