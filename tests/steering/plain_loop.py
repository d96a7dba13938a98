"""A plain loop that draws from everywhere a training can draw from, for the tests of time travel."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import torch

import workbench
from workbench import emit
from workbench.cards import SGD, Config, control

STEPS = 60


@dataclass
class Knobs(Config):
    scale: float = control(1.0, min=0, max=10)
    drop: float = control(0.2, min=0, max=0.9)
    decay: int = control(1, min=1, max=9, when="stage", stage="epoch")
    width: int = control(8, min=1, max=64, when="launch")
    optimizer: SGD = field(default_factory=lambda: SGD(lr=0.05, momentum=0.9))


def schedule(name, optimizer):
    kinds = torch.optim.lr_scheduler
    match name:
        case "OneCycleLR":
            return kinds.OneCycleLR(optimizer, 0.1, total_steps=STEPS + 1)
        case "LambdaLR":
            return kinds.LambdaLR(optimizer, lambda s: 0.98**s)
        case "StepLR":
            return kinds.StepLR(optimizer, 7)
        case "CosineAnnealingLR":
            return kinds.CosineAnnealingLR(optimizer, 20, eta_min=1e-3)
        case "ReduceLROnPlateau":
            return kinds.ReduceLROnPlateau(optimizer, patience=2)
        case "CyclicLR":
            return kinds.CyclicLR(optimizer, 0.01, 0.1, step_size_up=5)
        case "CosineAnnealingWarmRestarts":
            return kinds.CosineAnnealingWarmRestarts(optimizer, 9, eta_min=1e-3)
        case "SequentialLR":
            parts = [kinds.LinearLR(optimizer, 0.1, total_iters=10), kinds.ExponentialLR(optimizer, 0.95)]
            return kinds.SequentialLR(optimizer, parts, milestones=[10])
    return None


SCHEDULES = (
    "OneCycleLR", "LambdaLR", "StepLR", "CosineAnnealingLR", "ReduceLROnPlateau", "CyclicLR",
    "CosineAnnealingWarmRestarts", "SequentialLR",
)  # fmt: skip


def train(
    *,
    resume="",
    first=None,
    steps=STEPS,
    schedule_name="OneCycleLR",
    accumulate=1,
    each=None,
    leave_at=None,
    own=True,
    **options,
):
    """Train. `first(run)` may give commands before the first step, `each(session, step)` acts inside every step, and

    `leave_at` raises there, as a crash would.
    """
    config = Knobs(steps=steps)
    made = workbench.session(config, experiment="my/loop", mlflow=False, detectors=(), resume=resume, **options)
    if first is not None:
        first(workbench.run())
    with made as s:
        generator = torch.Generator().manual_seed(int(s.rng("init").integers(2**31)))
        model = torch.nn.Sequential(
            torch.nn.Linear(6, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(8, 1),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=config.optimizer.lr, momentum=0.9)
        objects = {"model": model, "optimizer": optimizer, **({"own": generator} if own else {})}
        if made := schedule(schedule_name, optimizer):
            objects["schedule"] = made
        s.register(**objects)
        s.action("shrink", lambda: shrink(model))
        s.probe("look", lambda: emit("looked", float(torch.rand(()))))
        for step in s.steps(config.steps):
            if step % 16 == 0:
                s.stage("epoch", step // 16)
            if each is not None:
                each(s, step)
            if step == leave_at:
                raise ZeroDivisionError("as good as a crash")
            x = torch.randn(12, 6) + float(np.random.rand()) + random.random()
            x = (
                x
                + torch.randn(12, 6, generator=generator)
                + torch.from_numpy(s.rng("data").normal(size=(12, 6))).float()
            )
            loss = config.scale * torch.nn.functional.dropout(model(x), config.drop).square().mean() / config.decay
            loss.backward()
            if (step + 1) % accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
            if made:
                made.step(loss.item()) if schedule_name == "ReduceLROnPlateau" else made.step()
            emit("loss", loss)
            emit("lr", optimizer.param_groups[0]["lr"])
            emit("weights", model[0].weight.detach().flatten())
    return workbench.run()


@torch.no_grad()
def shrink(model):
    for p in model.parameters():
        p.mul_(0.9)
