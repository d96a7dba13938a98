"""BN with one joint forward (ours): AdaB2N's driver without its layer, so that the gain of each can be told apart."""

from __future__ import annotations

from torch import nn

from workbench.methods.continual._shared.context import NormContext
from workbench.methods.continual.adab2n.norms._window import WindowNorm

JOINT = True


def build(bn: nn.BatchNorm2d, context: NormContext) -> nn.Module:
    """The layer in the place of `bn`."""
    return WindowNorm.like(bn, context)
