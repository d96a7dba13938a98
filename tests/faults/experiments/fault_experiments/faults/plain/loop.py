"""The plain loop."""

from __future__ import annotations

import time

import torch

from fault_experiments._network import Network, batch, show
from workbench.models.optim import make_optimizer


def train(config, session):
    """One step after the other, for `config.steps` of them."""
    model = Network(config.width)
    optimizer = make_optimizer(config.optimizer, model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    session.register(model=model, optimizer=optimizer, schedule=schedule)
    session.action("shrink", model.shrink)
    for _ in session.steps(config.steps):
        x, y = batch(session.rng("data"))
        outputs = model(x)
        loss = config.strength * (outputs - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        show(model, loss.detach(), outputs, config.strength, optimizer.param_groups[0]["lr"])
        time.sleep(config.pace / 1000)
