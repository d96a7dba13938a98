"""The same with Lightning: batch norm, epochs of 16 batches in an order of their own, a rate that falls every step."""

from __future__ import annotations

import time

import lightning.pytorch as pl
import torch

from fault_experiments._network import Network, batch, show
from workbench.models.optim import make_optimizer

SAMPLES, SIZE = 256, 16


class Batches:
    """256 samples as ready batches, in an order that follows from (seed, epoch); the session moves it to its place."""

    batch_size = SIZE

    def __init__(self, session):
        self.session = session
        self.x, self.y = batch(session.rng("data", "samples"), SAMPLES)
        self.epoch = self.start = 0

    def __len__(self):
        return SAMPLES // SIZE

    def __iter__(self):
        order = torch.from_numpy(self.session.rng("data", self.epoch).permutation(SAMPLES))
        for low in range(self.start, SAMPLES, SIZE):
            rows = order[low : low + SIZE]
            yield self.x[rows], self.y[rows]


class Module(pl.LightningModule):
    """The module."""

    def __init__(self, config, session):
        super().__init__()
        self.config, self.session = config, session
        self.network = Network(config.width, batch_norm=True)
        self.batches = Batches(session)
        session.action("shrink", self.network.shrink)

    def train_dataloader(self):
        return self.batches

    def configure_optimizers(self):
        optimizer = make_optimizer(self.config.optimizer, self.network.parameters())
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.config.steps)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def configure_gradient_clipping(self, optimizer, *_, **__):
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)

    def training_step(self, pair, index):
        x, y = pair
        outputs = self.network(x)
        loss = self.config.strength * (outputs - y).square().mean()
        lr = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        show(self.network, loss.detach(), outputs, self.config.strength, lr)
        time.sleep(self.config.pace / 1000)
        return loss
