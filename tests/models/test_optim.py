"""From settings to torch's optimizers."""

from __future__ import annotations

import pytest
import torch

from workbench.cards import SGD, Adam, AdamW, InvalidValue, Optimizer
from workbench.models.optim import make_optimizer


def made(settings):
    return make_optimizer(settings, [torch.nn.Parameter(torch.zeros(2))])


def test_each_kind_of_settings_makes_its_optimizer():
    sgd = made(SGD(lr=0.3, momentum=0.8, weight_decay=0.01))
    assert type(sgd) is torch.optim.SGD
    assert {k: sgd.defaults[k] for k in ("lr", "momentum", "weight_decay")} == {
        "lr": 0.3, "momentum": 0.8, "weight_decay": 0.01,
    }  # fmt: skip
    adam = made(Adam(beta2=0.95))
    assert (type(adam), adam.defaults["betas"]) == (torch.optim.Adam, (0.9, 0.95))
    assert type(made(AdamW())) is torch.optim.AdamW


def test_settings_without_an_optimizer_are_refused():
    with pytest.raises(InvalidValue, match="use SGD, Adam or AdamW"):
        made(Optimizer())
