"""What catching every `self.log` costs a LightningModule, and what MLFlowLogger costs it."""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

import workbench
from tests.benchmarks.blocks import Block, Stopwatch, Way, interleave, ratios
from tests.benchmarks.figures import Row, of
from tests.benchmarks.training import CLASSES, FEATURES, millisecond, network
from workbench.signals import emit

NUMBER = 3
WARM = 10  # steps of each fit that are not timed
NAMES = ("loss", "half", "double", "rate", "rest")


class Lit(pl.LightningModule):
    """Trains as the plain loop does and says five floats a step: by `self.log`, by `emit`, or not at all."""

    def __init__(self, say: str) -> None:
        super().__init__()
        self.net, self.say = network(), say

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Train one batch."""
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        value = loss.item()
        said = (value, value * 0.5, value * 2.0, 1e-3, 1.0 - value)
        if self.say == "log":
            for name, number in zip(NAMES, said, strict=True):
                self.log(name, number)
        elif self.say == "emit":
            for name, number in zip(NAMES, said, strict=True):
                emit(name, number)
        return loss

    def configure_optimizers(self) -> Any:
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=1e-3, momentum=0.9)


class Timer(pl.Callback):
    """Times the steps behind the first ones; stands first, so that what others do in a hook lies within."""

    def __init__(self, steps: int, into: list[Block]) -> None:
        self.steps, self.into, self.watch = steps, into, Stopwatch()

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Start, and at the first step that is not timed any more stop."""
        if batch_idx == WARM:
            self.watch.start()
        elif batch_idx == WARM + self.steps:
            self.into.append(self.watch.stop(self.steps))


def measure(quick: bool) -> Row:
    """Fits of a Trainer, interleaved; every fit is one block."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    steps, rounds = (60, 3) if quick else (400, 20)
    batch, _ = millisecond()
    torch.manual_seed(0)
    same = (torch.randn(batch, FEATURES), torch.randint(0, CLASSES, (batch,)))
    batches = torch.utils.data.DataLoader([same] * (WARM + steps + 1), batch_size=None)  # type: ignore[arg-type]

    def fit(say: str, into: list[Block], more: list[pl.Callback], **options: Any) -> None:
        trainer = pl.Trainer(
            callbacks=[Timer(steps, into), *more], max_epochs=1, accelerator="cpu", devices=1,
            enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False, **options,
        )  # fmt: skip
        trainer.fit(Lit(say), batches)

    def alone(say: str) -> Way:
        return lambda into: fit(say, into, [], logger=False)

    def ours(say: str) -> Way:
        return lambda into: fit(
            say, into, [workbench.Steering(experiment="bench/lightning", mlflow=False)], logger=workbench.Logger()
        )

    with tempfile.TemporaryDirectory() as folder:

        def mlflow(every: int) -> Way:
            from lightning.pytorch.loggers import MLFlowLogger

            logger = MLFlowLogger("bench", tracking_uri=f"sqlite:///{folder}/mlflow.db")
            return lambda into: fit("log", into, [], logger=logger, log_every_n_steps=every)

        found = interleave(
            {
                "log": alone("log"), "silent": alone("no"), "ours": ours("log"), "emit": ours("emit"),
                "mlflow 1": mlflow(1), "mlflow 50": mlflow(50),
            },
            rounds,
        )  # fmt: skip
    base = "than logger=False with five self.log"
    return Row(
        "Lightning: our callback and logger catching five self.log a step, against no logger and five self.log",
        f"{rounds} interleaved fits of {steps:,} timed steps of the same network, one thread; ratio of wall time a "
        "step, round by round.",
        [of("Steering and Logger, five self.log, wall", ratios(found, "ours", "log"), "×", most=1.05)],
        [
            of("one step with logger=False and five self.log", [1e3 * b.wall for b in found["log"]], "ms"),
            of("the same, CPU of the training thread", ratios(found, "ours", "log", "cpu"), "×"),
            of("Steering and Logger, five emit in place of self.log, wall", ratios(found, "emit", "log"), "×"),
            of("emit, CPU of the training thread", ratios(found, "emit", "log", "cpu"), "×"),
            of("logger=False and no self.log at all, wall", ratios(found, "silent", "log"), "×"),
            of("MLFlowLogger at every step (log_every_n_steps=1), wall", ratios(found, "mlflow 1", "log"), "×"),
            of("MLFlowLogger at every 50th step (the default), wall", ratios(found, "mlflow 50", "log"), "×"),
        ],
        f"A ratio below 1 means faster {base}.",
    )  # fmt: skip
