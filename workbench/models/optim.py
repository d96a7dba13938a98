"""From optimizer settings to a torch optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from workbench.cards import SGD, Adam, AdamW, InvalidValue, Optimizer


def make_optimizer(settings: Optimizer, params: Iterable[Any]) -> torch.optim.Optimizer:
    """The torch optimizer that the settings describe, over parameters or parameter groups."""
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if isinstance(settings, Adam):
        make = torch.optim.AdamW if isinstance(settings, AdamW) else torch.optim.Adam
        return make(params, betas=(settings.beta1, settings.beta2), **common)
    if isinstance(settings, SGD):
        return torch.optim.SGD(params, momentum=settings.momentum, **common)
    raise InvalidValue(f"There is no torch optimizer for {type(settings).__name__}; use SGD, Adam or AdamW.")
