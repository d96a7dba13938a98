"""What every setting of the laboratory offers, and the settings by name."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual.rich_lazy.knobs import RichLazy


class Setting(Protocol):
    """A network, its data, and what is looked at. `rule` counts the rules that are learned one after another."""

    network: nn.Module
    noise: float  # decay of the loss's running mean; 0 where the loss is exact

    @property
    def weight(self) -> nn.Parameter:
        """The matrix whose rank was chosen."""

    def loss(self, step: int, rule: int) -> Tensor:
        """Of this step's batch."""

    def states(self) -> tuple[Tensor, Tensor]:
        """Hidden activities on the probe: those whose signs count (any shape), those at the end (n, units)."""

    def kernel(self) -> Tensor:
        """The tangent kernel on the probe."""

    def accuracy(self, rule: int) -> float | None:
        """Per cent right on the probe; None where nothing is classified."""

    def colours(self) -> np.ndarray:
        """A number for each probe input (n,), what it is an example of."""


def build(config: RichLazy, session: SessionProtocol) -> Setting:
    """The setting of the configuration: a module of this folder with a `build` of its own."""
    module: Any = importlib.import_module(f"{__package__}.{config.setting}")
    return module.build(config, session)
