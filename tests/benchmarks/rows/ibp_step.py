"""What a training step of certified/ibp costs against the same mathematics in bare torch."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import workbench
from tests.benchmarks.blocks import Block, Stopwatch, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from workbench.cards import card
from workbench.methods.certified.ibp import networks
from workbench.methods.certified.ibp.init import initialise

NUMBER = 20
WARM = 5  # steps of each fit that are not timed
EPS, TARGET, LAMBDA, TOL, CLIP, RATE = 0.05, 0.1, 0.5, 0.5, 10.0, 5e-4


class Bare:
    """Fast IBP as a script: interval bounds, batch norm by the clean batch, both regularisers, clipping, Adam."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        torch.manual_seed(0)
        self.x, self.y = x, y
        self.net = networks.cnn7(8)
        initialise(self.net, "ibp")
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=RATE)

    def step(self) -> None:
        """Train one batch."""
        low, high = (self.x - EPS).clamp_min(0), (self.x + EPS).clamp_max(1)
        clean, mid, rad = self.x, (low + high) / 2, (high - low) / 2
        first, relus = rad.mean(), []
        for layer in self.net[:-1]:
            if isinstance(layer, nn.Linear):
                clean, mid, rad = layer(clean), layer(mid), F.linear(rad, layer.weight.abs())
            elif isinstance(layer, nn.Conv2d):
                rad = F.conv2d(rad, layer.weight.abs(), None, layer.stride, layer.padding)
                clean, mid = layer(clean), layer(mid)
            elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                clean, mid, rad = _norm(layer, clean, mid, rad)
            elif isinstance(layer, nn.ReLU):
                low, high = mid - rad, mid + rad
                relus.append((low, high, mid, rad))
                clean, low, high = clean.relu(), low.relu(), high.relu()
                mid, rad = (low + high) / 2, (high - low) / 2
            else:
                clean, mid, rad = layer(clean), layer(mid), layer(rad)
        last: Any = self.net[-1]
        difference = last.weight[self.y].unsqueeze(1) - last.weight
        logits = last(mid)
        margin = logits.gather(1, self.y[:, None]) - logits - (difference.abs() @ rad.unsqueeze(2)).squeeze(2)
        loss = F.cross_entropy(-margin, self.y) + LAMBDA * (1 - EPS / TARGET) * _regularisers(relus, first)
        F.cross_entropy(last(clean), self.y).item()  # it is logged
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self.optimizer.step()


def _norm(layer: Any, clean: Tensor, mid: Tensor, rad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """torch's own batch norm for the clean pass, its statistics once more for the box."""
    dims = [d for d in range(clean.dim()) if d != 1]
    shape = [1, -1] + [1] * (clean.dim() - 2)
    variance, mean = torch.var_mean(clean, dims, correction=0)
    scale = layer.weight / (variance + layer.eps).sqrt()
    shift = (layer.bias - mean * scale).view(shape)
    return layer(clean), mid * scale.view(shape) + shift, rad * scale.abs().view(shape)


def _regularisers(relus: list[tuple[Tensor, Tensor, Tensor, Tensor]], first: Tensor) -> Tensor:
    total = first.new_zeros(())
    for low, high, mid, rad in relus:
        total = total + (TOL - first / rad.mean()).relu() / TOL
        on, off = (low > 0).float(), (high < 0).float()
        spread = (mid - mid.mean()).square()
        a, b = (mid * on).mean(), -(mid * off).mean()
        c, d = (spread * on).sum(), (spread * off).sum()
        if min(float(v) for v in (a, b, c, d)) > 0:
            for ratio in (a / b, c / d):
                total = total + (TOL - torch.minimum(ratio, 1 / ratio)).relu() / TOL
    return total / len(relus)


def measure(quick: bool) -> Row:
    """Fits of the experiment as a worker does them, and blocks of the bare step, interleaved."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    from workbench.methods.certified.ibp.module import Module
    from workbench.steering.lightning_adapter import fit

    steps, rounds = (8, 2) if quick else (20, 10)

    class Timed(Module):
        """Times the steps behind the first ones."""

        into: list[Block]
        trainer_options: dict[str, Any]

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            """Start, and at the first step that is not timed any more stop."""
            if self.session.step == WARM:
                self.watch = Stopwatch()
                self.watch.start()
            elif self.session.step == WARM + steps:
                self.into.append(self.watch.stop(steps))

    batch: list[Tensor] = []

    def ours(into: list[Block]) -> None:
        config = card("certified/ibp").config()
        config.steps, config.ramp_epochs = WARM + steps + 1, 10
        config.epoch_images = config.final_images = config.verify_images = config.probe_images = 10
        with workbench.session(config, experiment="bench/ibp", mlflow=False) as session:
            module = Timed(config, session)
            module.into, module.trainer_options = into, {"accelerator": "cpu"}
            batch[:] = next(iter(module.batches))
            fit(module, session, config.steps)

    def bare(into: list[Block]) -> None:
        training = Bare(batch[0], batch[1])
        for _ in range(WARM):
            training.step()
        with timed(steps, into):
            for _ in range(steps):
                training.step()

    found = interleave({"ours": ours, "bare": bare}, rounds)
    return Row(
        "Certified training: a step of certified/ibp as a run does it, against a bare torch loop",
        f"{rounds} interleaved blocks of {steps} steps, narrow CNN-7 on Fashion-MNIST, batch 128, one thread: interval "
        "bounds, both regularisers, clipping, Adam. Ours in Lightning under a session, with all of its signals and its "
        "probes off; the bare loop is the same mathematics on a batch in memory, with autograd's batch norm.",
        [of("certified/ibp, wall", ratios(found, "ours", "bare"), "×", most=1.10)],
        [
            of("one bare step", [1e3 * b.wall for b in found["bare"]], "ms"),
            of("the same, CPU of the training thread", ratios(found, "ours", "bare", "cpu"), "×"),
            of("the same, CPU of the process", ratios(found, "ours", "bare", "process"), "×"),
        ],
    )
