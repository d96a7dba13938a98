"""The callback and the logger in a Trainer of the user's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import lightning.pytorch as pl
import pytest
import torch

import workbench
from workbench.cards import SGD, Config, control

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # a tiny data set needs none
    pytest.mark.filterwarnings("ignore:.*litlogger"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),  # nothing is logged through Lightning's interval
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec:FutureWarning"),
]


@dataclass
class Knobs(Config):
    scale: float = control(1.0, min=0, max=10)
    optimizer: SGD = field(default_factory=lambda: SGD(lr=0.1))


class Lit(pl.LightningModule):
    """Logs in every way that Lightning knows."""

    def __init__(self, config):
        super().__init__()
        self.config, self.net, self.seen = config, torch.nn.Linear(4, 1), []

    def training_step(self, batch, batch_idx):
        loss = self.config.scale * self.net(batch).square().mean()
        self.log("loss", loss)
        self.log_dict({"double": 2 * loss.detach()}, on_step=True, on_epoch=True)
        self.log("only_epoch", float(batch_idx), on_step=False, on_epoch=True)
        self.seen.append((self.config.scale, self.trainer.optimizers[0].param_groups[0]["lr"]))
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.net(batch).square().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 2), "interval": "epoch"}]


def loader():
    return torch.utils.data.DataLoader(torch.randn(12, 4), batch_size=2)


def trainer(callback, **options):
    return pl.Trainer(
        callbacks=[callback], logger=workbench.Logger(), accelerator="cpu", enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, **{"max_epochs": 3, **options},
    )  # fmt: skip


def test_self_log_is_recorded_at_every_step_and_nothing_twice():
    trainer(workbench.Steering(Knobs(), mlflow=False)).fit(Lit(Knobs()), loader(), loader())
    run = workbench.run()
    assert (run.experiment, run.state, run.steps) == ("my/lit", "finished", 18)
    assert run["loss"].steps.tolist() == list(range(18))
    assert run["double"].values == pytest.approx(2 * run["loss"].values)
    assert len(run["double_epoch"]) == 3
    assert run["double_epoch"].values[0] == pytest.approx(run["double"].values[:6].mean())
    assert run["only_epoch"].steps.tolist() == list(range(18))
    assert run["only_epoch_epoch"].values.tolist() == [2.5, 2.5, 2.5]
    assert len(run["val_loss"]) == 3
    assert set(run.reader.names()) == {
        "loss", "double", "double_epoch", "only_epoch", "only_epoch_epoch", "val_loss",
    }  # fmt: skip


class Issuing(workbench.Steering):
    """Gives commands as soon as the run exists."""

    def __init__(self, *commands, **options):
        super().__init__(Knobs(), mlflow=False, **options)
        self.commands = commands

    def on_train_start(self, *args):
        super().on_train_start(*args)
        for values, at_step in self.commands:
            workbench.run().set(values, at_step=at_step)


def test_live_controls_move_a_training_and_its_schedule():
    steering = Issuing(({"scale": 3.0}, 4), ({"lr": 0.05}, 8))
    module = Lit(steering.config)
    trainer(steering).fit(module, loader(), loader())
    assert [s for s, _ in module.seen] == [1.0] * 4 + [3.0] * 14
    assert [r for _, r in module.seen] == pytest.approx([0.1] * 8 + [0.05] * 4 + [0.005] * 6)


def test_inside_an_accumulation_window_controls_wait_for_its_end():
    steering = Issuing(({"scale": 3.0}, 4))
    module = Lit(steering.config)
    trainer(steering, accumulate_grad_batches=3).fit(module, loader(), loader())
    assert [s for s, _ in module.seen] == [1.0] * 6 + [3.0] * 12
    assert workbench.run().interventions[0].step == 6


class Growing:
    """A loader whose batch size is a control read at each epoch's start."""

    def __init__(self, config):
        self.config, self.data = config, torch.arange(48, dtype=torch.float32).reshape(12, 4)

    def __len__(self):
        return 12 // self.config.batch_size

    def __iter__(self):
        return iter(self.data.split(self.config.batch_size))


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 2)])
def test_a_batch_size_moved_at_an_epoch_changes_the_number_of_batches(before, after):
    @dataclass
    class Batched(Knobs):
        batch_size: int = control(before, min=1, max=12, when="stage", stage="epoch")

    class Sized(Lit):
        def training_step(self, batch, batch_idx):
            sizes_seen.append(len(batch))
            return super().training_step(batch, batch_idx)

    class Moving(workbench.Steering):
        def on_train_start(self, *args):
            super().on_train_start(*args)
            workbench.run().set(batch_size=after)

    sizes_seen = []
    config = Batched()
    trainer(Moving(config, mlflow=False)).fit(Sized(config), Growing(config), loader())
    first = 12 // before
    assert sizes_seen[:first] == [before] * first
    assert sizes_seen[first:] == [after] * (2 * (12 // after))


def test_without_a_config_the_optimizer_is_still_steered():
    class Moving(workbench.Steering):
        def on_train_start(self, *args):
            super().on_train_start(*args)
            workbench.run().set(lr=0.02, at_step=2)

    module = Lit(Knobs())
    trainer(Moving(mlflow=False, experiment="my/own"), max_epochs=1).fit(module, loader(), loader())
    assert [r for _, r in module.seen] == pytest.approx([0.1] * 2 + [0.02] * 4)
    assert workbench.run().controls["optimizer.lr"].default == 0.1


def test_a_stop_leaves_fit_and_the_run_is_stopped():
    class Stopping(workbench.Steering):
        def on_train_start(self, *args):
            super().on_train_start(*args)
            workbench.run().stop()

    with pytest.raises(workbench.steering.Stopped):
        trainer(Stopping(Knobs(), mlflow=False)).fit(Lit(Knobs()), loader(), loader())
    assert workbench.run().state == "stopped"


def test_a_module_that_raises_leaves_a_failed_run():
    class Broken(Lit):
        def training_step(self, batch, batch_idx):
            if batch_idx == 3:
                raise RuntimeError("the labels are gone")
            return super().training_step(batch, batch_idx)

    with pytest.raises(RuntimeError):
        trainer(workbench.Steering(Knobs(), mlflow=False)).fit(Broken(Knobs()), loader(), loader())
    run = workbench.run()
    assert (run.state, run.message) == ("failed", "RuntimeError: the labels are gone")
    assert run["loss"].steps.tolist() == [0, 1, 2]


def test_the_final_weights_are_hashed():
    module = Lit(Knobs())
    trainer(workbench.Steering(Knobs(), mlflow=False), max_epochs=1).fit(module, loader(), loader())
    assert set(workbench.run().reader.meta["weights"]) == {"model.net.weight", "model.net.bias"}
