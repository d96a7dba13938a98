"""OGM with generalisation enhancement (OGM-GE, CVPR 2022): noise on both encoders' gradients besides.

Its deviation is that of the tensor's gradient before it was scaled, as in the released code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workbench.methods.multimodal._shared.strategies import ogm
from workbench.methods.multimodal._shared.strategy import Lookout


class Strategy(ogm.Strategy):
    """The noise of an epoch is a function of the seed and the epoch's number, kept in checkpoints."""

    KEPT = ("noise_state",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.generator = torch.Generator()

    @property
    def noise_state(self) -> Tensor:
        """Where the noise stands."""
        return self.generator.get_state()

    @noise_state.setter
    def noise_state(self, state: Tensor) -> None:
        self.generator.set_state(state)

    def begin(self, epoch: int, lookout: Lookout) -> None:
        """See `strategy.Strategy.begin`."""
        super().begin(epoch, lookout)
        self.generator.manual_seed(int(lookout.rng("method", "ogm_ge", epoch).integers(2**62)))

    def changed(self, gradient: Tensor, k: float) -> Tensor:
        """See `ogm.Strategy.changed`."""
        noise = torch.randn(gradient.shape, generator=self.generator, dtype=gradient.dtype)
        return k * gradient + float(gradient.std()) * noise
