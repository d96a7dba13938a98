"""GroupNorm (Wu and He 2018): no statistics over the batch, so nothing that could follow the newest task."""

from __future__ import annotations

from torch import nn

from workbench.methods.continual._shared.context import NormContext
from workbench.methods.continual.adab2n.norms._groups import check_groups
from workbench.methods.continual.adab2n.norms._window import copy_state

JOINT = True


def build(bn: nn.BatchNorm2d, context: NormContext) -> nn.Module:
    """The layer in the place of `bn`. Raises `InvalidValue` if its channels do not split into the groups."""
    layer = nn.GroupNorm(check_groups(bn, context), bn.num_features, eps=bn.eps)
    copy_state(bn, layer)
    return layer
