"""BatchNorm2d with live momentum that tells the context what its window took in."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from workbench.methods.continual._shared.context import NormContext


class WindowNorm(nn.BatchNorm2d):
    """torch's BatchNorm2d; its momentum is the context's, if that has one.

    Its running values are an exponential window: after each batch the weight of everything before shrinks by the
    factor 1 - momentum.
    """

    def __init__(self, features: int, context: NormContext, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(features, eps=eps, momentum=momentum)
        self.context = context
        self.own_momentum = momentum

    @classmethod
    def like(cls, bn: nn.BatchNorm2d, context: NormContext) -> Self:
        """One with the state, device and precision of `bn`."""
        assert bn.momentum is not None
        made = cls(bn.num_features, context, eps=bn.eps, momentum=bn.momentum)
        copy_state(bn, made)
        return made

    def window_input(self, x: Tensor) -> Tensor:
        """What the running values are means of, for the layer's input x (B, C, H, W)."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W): by the batch in train mode, by the running values in eval mode."""
        if self.training:
            self.momentum = self.context.momentum or self.own_momentum
            if now := self.context.checked(len(x)):
                now.note(None if now.counts is None else now.counts / len(x), self.momentum)
        return super().forward(self.window_input(x))


def copy_state(bn: nn.BatchNorm2d, layer: nn.Module) -> None:
    """Give `layer` the weight, bias and running values of `bn`, its device, precision and mode."""
    reference = bn.running_mean
    assert reference is not None
    layer.to(device=reference.device, dtype=reference.dtype)
    own = dict(layer.named_parameters()) | dict(layer.named_buffers())
    with torch.no_grad():
        for name, value in bn.state_dict().items():
            if name in own:
                own[name].copy_(value)
    layer.train(bn.training)
