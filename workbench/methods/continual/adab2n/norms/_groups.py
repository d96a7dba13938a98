"""Whether channels split into groups."""

from __future__ import annotations

from torch import nn

from workbench.cards.errors import InvalidValue
from workbench.methods.continual._shared.context import NormContext


def check_groups(bn: nn.BatchNorm2d, context: NormContext) -> int:
    """The context's number of groups; `InvalidValue` if the channels of `bn` do not split into them."""
    if bn.num_features % context.groups:
        raise InvalidValue(
            f"groups must divide the channels of every norm layer; {bn.num_features} channels do not split into "
            f"{context.groups} groups. Choose a smaller number of groups, such as 4 or 8."
        )
    return context.groups
