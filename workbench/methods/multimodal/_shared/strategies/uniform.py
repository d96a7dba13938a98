"""Unimodal regularisers: L + gamma (L_a + L_v), read-outs through the shared head ("uniform baseline" of MMPareto)."""

from __future__ import annotations

from torch import Tensor

from workbench.methods.multimodal._shared import strategy
from workbench.methods.multimodal._shared.network import Outputs


class Strategy(strategy.Strategy):
    """gamma is 1 up to the start epoch, as in ARL's code."""

    @property
    def warming(self) -> bool:
        """Whether the start epoch is not behind."""
        return self.epoch <= self.config.start_epoch

    def loss(self, out: Outputs) -> Tensor:
        """See `strategy.Strategy.loss`."""
        gamma = 1.0 if self.warming else self.config.gamma
        self.weights = (1.0, gamma, gamma)
        return super().loss(out)
