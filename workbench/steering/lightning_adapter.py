"""Lightning: a callback that is the session inside a Trainer, and a logger that records what Lightning reduces."""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers.logger import Logger as LightningLogger

from workbench.journal.layout import KEPT_MODEL
from workbench.signals import emit
from workbench.steering.lightning_state import LightningState, follow_batch_size
from workbench.steering.session import Session, Stopped, current
from workbench.steering.user import open_session

if TYPE_CHECKING:
    from workbench.steering.guards import LossGuard


class Steering(pl.Callback):
    """Steer and record a LightningModule.

    ``Trainer(callbacks=[workbench.Steering(config)], logger=workbench.Logger())``

    Every value that the module passes to `self.log` inside a training step is recorded at that step, whatever
    `log_every_n_steps` says. A step is a training batch started, from 0; commands take effect in
    `on_train_batch_start`, inside an accumulation window at its start.

    The guard against anomalous batches (`workbench.cards.guard.Guard`) is at hand where Lightning optimizes by itself,
    in one process and without a loss scale. It judges the loss of each batch; in an accumulation window one that stands
    out leaves out the whole window's update. Schedules count on.

    Args:
        config: the module's configuration (a dataclass with controls), changed in place; None: optimizer controls only.
        experiment: name of the experiment in the store; default ``my/<module name>``.
        session: an open session to use instead of making one.
        steps: end training after so many batches (default: when the Trainer ends it).
    """

    active: Steering | None = None  # the callback of the fit that is running, for `Logger`

    def __init__(
        self,
        config: Any = None,
        experiment: str | None = None,
        *,
        session: Session | None = None,
        steps: int | None = None,
        **options: Any,
    ) -> None:
        self.config, self.experiment, self.options = config, experiment, options
        self.session = session
        self.steps = steps
        self._own = session is None
        self._batch = 0
        self._inside = False
        self._logged: set[str] = set()
        self._epoch_over = False
        self._guard: LossGuard | None = None
        self._skip = False  # the update that comes next

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_rank != 0:
            return
        if self.session is None:
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(pl_module).__name__).lower()
            self.session = open_session(self.config, experiment=self.experiment or f"my/{name}", **self.options)
        Steering.active = self
        self._wrap(pl_module)
        inside = self.session.framework = LightningState(trainer, self.session.seed)
        begin = self.session.beginning
        self._batch = begin.first
        if begin.loaded is not None:
            begin.restore_config(self.session)
            inside.load_state_dict(begin.loaded["framework"])
        inside.place_loaders()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.session is None:
            return
        self.session.register(model=pl_module, **_optimizers(trainer, self.session.config))
        if _guardable(trainer, pl_module):
            self._guard = self.session.guard()
            self._take_batches(pl_module, self._guard)
        self.session.start(self.steps or _length(trainer))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_over = False
        if self.session is not None:
            # Of the first epoch Lightning has made the loader's iterator before this hook, of all others it does after.
            self.session.stage(
                "epoch",
                trainer.current_epoch,
                before=self._batch,
                open_to_commands=self._batch > self.session.beginning.first,
            )
            if follow_batch_size(trainer) and self.steps is None:
                epochs = (trainer.max_epochs or -1) - trainer.current_epoch
                self.session.set_length(
                    self._batch + int(trainer.num_training_batches) * epochs if epochs > 0 else None
                )
            self._inner.to_epoch(trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._epoch_over = False
        self._inside = True
        if self.session is not None:
            if self._batch == self.session.beginning.first:
                self._inner.at_first_batch()
            self.session.boundary(self._batch, window=batch_idx % trainer.accumulate_grad_batches == 0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._inside = False
        self._batch += 1
        if self.steps is not None and self._batch >= self.steps:
            trainer.should_stop = True

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor) -> None:
        if self._guard is not None and not self._guard.passes(loss):
            self._skip = True

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if self._skip:
            self._skip = False
            optimizer.zero_grad(set_to_none=True)  # without gradients a step moves neither weights nor its own state

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_over = True

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_over = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._leave(pl_module)
        if self._own and self.session is not None:
            self.session.close("finished")
            self.session = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._leave(pl_module)
        if self._own and self.session is not None:
            self.session.fail(exception)
            self.session = None

    @property
    def _inner(self) -> LightningState:
        assert self.session is not None
        assert isinstance(self.session.framework, LightningState)
        return self.session.framework

    def _wrap(self, module: pl.LightningModule) -> None:
        """Let `self.log` and `self.log_dict` of a training step be recorded on their way to Lightning."""
        log = module.log

        def recording_log(name: str, value: Any, *args: Any, **kwargs: Any) -> None:
            # Lightning's log_dict calls self.log for each item, so this one wrapper sees both.
            if self._inside and not hasattr(value, "compute"):
                self._logged.add(name)
                emit(name, value)
            log(name, value, *args, **kwargs)

        module.log = recording_log  # type: ignore[method-assign]

    @staticmethod
    def _take_batches(module: pl.LightningModule, guard: LossGuard) -> None:
        """Let the guard say which batch a training step gets."""
        training_step = module.training_step

        @functools.wraps(training_step)
        def guarded(batch: Any, *args: Any, **kwargs: Any) -> Any:
            return training_step(guard.batch(batch), *args, **kwargs)

        module.training_step = guarded  # type: ignore[method-assign]

    def _leave(self, module: pl.LightningModule) -> None:
        Steering.active = None
        module.__dict__.pop("log", None)
        module.__dict__.pop("training_step", None)


class Logger(LightningLogger):
    """Records in the open session what Lightning reduces (epoch means, validation), under Lightning's own key.

    What `Steering` recorded step by step is not repeated; an epoch mean whose key equals such a signal's gets the
    suffix ``_epoch``.
    """

    @property
    def name(self) -> str:
        return "workbench"

    @property
    def version(self) -> str:
        session = current()
        return session.rundir.id if session else ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Hyperparameters are in the run's config; those that Lightning saves are recorded beside them."""
        if session := current():
            plain = {str(k): v for k, v in dict(params or {}).items() if isinstance(v, str | int | float | bool)}
            session.writer.set_meta("hyperparameters", plain)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        steering = Steering.active
        over = steering is None or steering._epoch_over
        seen = steering._logged if steering else set()
        for name, value in metrics.items():
            if name == "epoch":
                continue
            if name.removesuffix("_step") in seen:
                if not over:
                    continue
                name = f"{name}_epoch"
            emit(name, float(value))


def _optimizers(trainer: pl.Trainer, config: Any) -> dict[str, Any]:
    """Optimizers and schedules by the names that their controls have."""
    optimizers = trainer.optimizers
    settings = getattr(config, "optimizer", None)
    if len(optimizers) == 1:
        names = ["optimizer"]
    else:
        declared = [] if settings is None or hasattr(settings, "lr") else list(vars(settings))
        names = declared if len(declared) == len(optimizers) else [f"optimizer_{i}" for i in range(len(optimizers))]
    named = dict(zip(names, optimizers, strict=True))
    schedules = {f"schedule_{i}": c.scheduler for i, c in enumerate(trainer.lr_scheduler_configs)}
    return {**named, **schedules}


def _guardable(trainer: pl.Trainer, module: pl.LightningModule) -> bool:
    """Whether one loss a batch decides one update, in this process alone, with gradients that may be left out."""
    scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
    iterates = "dataloader_iter" in inspect.signature(module.training_step).parameters
    return module.automatic_optimization and trainer.world_size == 1 and not scaled and not iterates


def _length(trainer: pl.Trainer) -> int | None:
    """Training batches in all, if the Trainer can know."""
    batches = trainer.num_training_batches
    if trainer.max_steps > 0:
        return int(trainer.max_steps) * trainer.accumulate_grad_batches
    if trainer.max_epochs is not None and trainer.max_epochs > 0 and batches != float("inf"):
        return int(trainer.max_epochs * batches)
    return None


def fit(module: pl.LightningModule, session: Session, steps: int) -> None:
    """Train a method's module under its session for `steps` batches; leaves quietly when the run is told to stop."""
    rebuild = session.beginning.rebuild_at
    steering = Steering(session=session, steps=steps if rebuild is None else max(steps, rebuild + 1))
    options: dict[str, Any] = {
        "max_epochs": -1,
        "accelerator": session.tree.get("run", {}).get("device", "cpu"),
        "devices": 1,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        **getattr(module, "trainer_options", {}),
    }
    trainer = pl.Trainer(callbacks=[steering], logger=Logger(), **options)
    with contextlib.suppress(Stopped):
        trainer.fit(module)
    session.recorder.close_step(session.step, time.time())
    if not session.rebuilding:
        keep_model(module, session)


def keep_model(module: pl.LightningModule, session: Session) -> None:
    """Keep what the module's `final_model()` returns, a `torch.nn.Module` and an example input, for MLflow."""
    make = getattr(module, "final_model", None)
    if make is None or not session.tree.get("tracking", {}).get("mlflow"):
        return
    folder = session.rundir.artifacts
    try:
        folder.mkdir(exist_ok=True)
        torch.save(make(), folder / KEPT_MODEL)
    except OSError as error:
        session.recorder.complain(f"The final model could not be kept in {folder}: {error.strerror or error}.")
