"""Continual normalisation (Pham et al., ICLR 2022, arXiv 2203.16102): GroupNorm without affine, then BatchNorm."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from workbench.methods.continual._shared.context import NormContext
from workbench.methods.continual.adab2n.norms._groups import check_groups
from workbench.methods.continual.adab2n.norms._window import WindowNorm

JOINT = False


class ContinualNorm(WindowNorm):
    """Batch norm of group-normalised input."""

    def window_input(self, x: Tensor) -> Tensor:
        """See `WindowNorm.window_input`: x (B, C, H, W) normalised within each image's groups."""
        return F.group_norm(x, self.context.groups, eps=self.eps)


def build(bn: nn.BatchNorm2d, context: NormContext) -> nn.Module:
    """The layer in the place of `bn`. Raises `InvalidValue` if its channels do not split into the groups."""
    check_groups(bn, context)
    return ContinualNorm.like(bn, context)
