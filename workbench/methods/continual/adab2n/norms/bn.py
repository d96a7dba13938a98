"""BN: torch's BatchNorm2d; new and replayed images go through the network one after another, as in the baselines."""

from __future__ import annotations

from torch import nn

from workbench.methods.continual._shared.context import NormContext
from workbench.methods.continual.adab2n.norms._window import WindowNorm

JOINT = False


def build(bn: nn.BatchNorm2d, context: NormContext) -> nn.Module:
    """The layer in the place of `bn`."""
    return WindowNorm.like(bn, context)
