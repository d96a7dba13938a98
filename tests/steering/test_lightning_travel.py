"""Time travel in a Trainer of the user's own: a run that crashed at any batch ends as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass, field

import lightning.pytorch as pl
import pytest
import torch

import workbench
from tests.steering.plain_loop import schedule
from workbench.cards import SGD, Config, control

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*litlogger"),
    pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:.*sampler has shuffling enabled"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
BATCHES, EPOCHS = 8, 4


@dataclass
class Knobs(Config):
    scale: float = control(1.0, min=0, max=10)
    batch: int = control(6, min=1, max=48, when="stage", stage="epoch")
    optimizer: SGD = field(default_factory=lambda: SGD(lr=0.05, momentum=0.9))


class Lit(pl.LightningModule):
    """Batch norm, dropout, validation that draws, hooks that draw; a schedule by step or by epoch."""

    def __init__(self, config, *, kind, interval="step", leave_at=None):
        super().__init__()
        self.save_hyperparameters("config")  # an object that no checkpoint can hold
        self.config, self.kind, self.interval, self.leave_at = config, kind, interval, leave_at
        torch.manual_seed(5)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Dropout(0.3), torch.nn.Linear(6, 1)
        )

    def training_step(self, batch, batch_idx):
        if workbench.steering.session.current().step == self.leave_at:
            raise ZeroDivisionError("as good as a crash")
        loss = self.config.scale * self.net(batch + 0.1 * torch.randn_like(batch)).square().mean()
        self.log("loss", loss)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("first", batch.sum())
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.net(batch).square().mean() + float(torch.rand(())))

    def on_train_epoch_end(self):
        torch.rand(3)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.config.optimizer.lr, momentum=0.9)
        made = {"scheduler": schedule(self.kind, optimizer), "interval": self.interval, "monitor": "val_loss"}
        return [optimizer], [made]


class TwoOptimizers(Lit):
    """Manual optimization: one optimizer a half of the network, stepping in turn."""

    def __init__(self, config, **options):
        super().__init__(config, **options)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        one, other = self.optimizers()
        self.manual_backward(loss)
        if batch_idx % 2:
            one.step()
            one.zero_grad()
        other.step()
        other.zero_grad()

    def configure_optimizers(self):
        return [
            torch.optim.Adam(self.net[:2].parameters(), lr=0.01),
            torch.optim.SGD(self.net[2:].parameters(), lr=0.02, momentum=0.8),
        ]


def samples(count=48):
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(3))


class FollowingBatches(workbench.Batches):
    """Batches of the size that the configuration says."""

    def __init__(self, config):
        self.config = config
        super().__init__(48, config.batch, seed=1)

    batch_size = property(lambda self: self.config.batch, lambda self, value: None)


def fit(*, resume="", leave_at=None, first=None, lit=Lit, kind="OneCycleLR", interval="step", workers=0, accumulate=1,
        validate=True):  # fmt: skip
    config = Knobs()
    module = lit(config, kind=kind, interval=interval, leave_at=leave_at)
    data = torch.utils.data.DataLoader(
        samples(), batch_sampler=FollowingBatches(config), num_workers=workers, persistent_workers=workers > 0
    )
    session = workbench.session(config, experiment="my/lit", mlflow=False, detectors=(), resume=resume)
    if first:
        first(workbench.run())
    with session:
        trainer = pl.Trainer(
            callbacks=[workbench.Steering(session=session)], logger=workbench.Logger(), accelerator="cpu",
            enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False, max_epochs=EPOCHS,
            num_sanity_val_steps=0, accumulate_grad_batches=accumulate,
        )  # fmt: skip
        trainer.fit(module, data, torch.utils.data.DataLoader(samples(6), batch_size=3) if validate else None)
    return workbench.run()


def commands(run):
    run.set({"run.checkpoint_every": 3}, at_step=1)
    run.set(scale=2.0, at_step=5)


SET_UPS = {
    "one cycle": {"kind": "OneCycleLR"},
    "epochs, accumulation": {"kind": "StepLR", "interval": "epoch", "accumulate": 3},
    "cosine, no validation": {"kind": "CosineAnnealingLR", "validate": False, "accumulate": 2},
    "plateau on validation": {"kind": "ReduceLROnPlateau", "interval": "epoch"},
    "two loader workers": {"kind": "LambdaLR", "workers": 2, "accumulate": 2},
    "two optimizers": {"lit": TwoOptimizers, "kind": ""},
}


def same(a, b):
    found = a.identical_to(b)
    assert found, str(found)


@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS)
def test_a_fit_that_crashed_goes_on_and_ends_as_if_nothing_had_happened(set_up):
    undisturbed = fit(first=commands, **set_up)
    assert undisturbed.reader.meta["exact"]["ok"], undisturbed.reader.meta["exact"]
    for crash in (7, 8, 16, 23) if not set_up.get("workers") else (9, 17):
        with pytest.raises(ZeroDivisionError):
            fit(first=commands, leave_at=crash, **set_up)
        run = workbench.run()
        assert run.checkpoints[-1].step == crash - crash % 3  # before the batch, in the middle of a window, at an epoch
        fit(resume=run.id, **set_up)
        assert (run.state, run.step) == ("finished", BATCHES * EPOCHS - 1)
        assert not run.reader.events(["warning"])
        same(undisturbed, run)


def test_checkpoints_do_not_disturb_a_fit():
    one = fit()
    other = fit(first=lambda run: run.set({"run.checkpoint_every": 1}, at_step=1))
    assert not one.checkpoints
    assert len(other.checkpoints) == BATCHES * EPOCHS - 2
    same(one, other)


def test_a_batch_size_that_moved_survives_forks_around_it():
    def shrink(run):
        commands(run)
        run.set(batch=4, at_step=6)  # taken at the second epoch, which then has 12 batches

    run = fit(first=shrink, kind="StepLR", interval="epoch")
    assert run.step + 1 == 8 + 3 * 12
    for step in (9, 19, 20, 21, 32):
        child = run.fork(step, start=False)
        child = fit(resume=child.id, kind="StepLR", interval="epoch")
        assert child.reader.first_step == step
        same(run, child)


def test_a_fork_takes_its_changes_and_a_replay_repeats_it():
    run = fit(first=commands)
    child = fit(resume=run.fork(13, lr=0.2, scale=0.5, start=False).id)
    assert child["lr"].values[0] / run["lr"].values[13] == pytest.approx(4.0)
    again = fit(resume=child.replay(start=False).id)
    same(child, again)


def test_a_loader_without_a_position_is_named_in_the_line_about_exactness():
    trainer = pl.Trainer(
        callbacks=[workbench.Steering(Knobs(), mlflow=False)], logger=workbench.Logger(), accelerator="cpu",
        max_epochs=1,
        enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    data = torch.utils.data.DataLoader(samples(), batch_size=6, shuffle=True)
    trainer.fit(Lit(Knobs(), kind="StepLR"), data, data)
    said = workbench.run().reader.meta["exact"]
    assert not said["ok"]
    assert "keeps no position" in said["text"]
