"""What Lightning's Trainer keeps for itself: loops, loaders' positions, callbacks. Its private names stand here.

Taken and put back in `on_train_batch_start`, where the epoch before is done with validation, schedules and hooks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from workbench.steering.randomness import entropy


class LightningState:
    """The Trainer's part of a checkpoint, for `session.framework`.

    Args:
        trainer: inside `fit`.
        seed: of the run; loaders that have no generator of their own get one, so that they do not draw from the
            global state when they make an iterator.
    """

    def __init__(self, trainer: pl.Trainer, seed: int) -> None:
        self.trainer, self._seed = trainer, seed
        self._resumed_at: int | None = None  # batches of the open epoch that were trained before

    def covered(self) -> set[int]:
        """The module, its optimizers and its schedules."""
        schedules = [c.scheduler for c in self.trainer.lr_scheduler_configs]
        return {id(t) for t in (self.trainer.lightning_module, *self.trainer.optimizers, *schedules)}

    def state_dict(self) -> dict[str, Any]:
        """Lightning's own checkpoint of this moment."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice to loaders about state that is kept here
            state = self.trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        for key in [k for k in state if "hparams" in k or "hyper_parameters" in k]:
            del state[key]  # any object of the user's may stand there, and training goes on without
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """In `on_fit_start`: weights and callbacks now; the Trainer restores loops and optimizers right after it."""
        connector = self.trainer._checkpoint_connector
        connector._loaded_checkpoint = state
        connector.restore_model()
        connector.restore_datamodule()
        connector.restore_callbacks()
        progress = state["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
        self._resumed_at = int(progress["completed"])
        self._epoch = int(state["epoch"])
        warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before")

    def at_first_batch(self) -> None:
        """Let Lightning forget that it was restarted, or schedules of an epoch and plateau ones miss an update."""
        if self._resumed_at is not None:
            self.trainer.fit_loop._restarting = False

    # -- loaders ------------------------------------------------------------------------------------------------------

    def place_loaders(self) -> None:
        """See to it that the first epoch's loaders begin where the run does, whenever Lightning asks for them."""
        source = self.trainer.fit_loop._data_source
        if not source.is_module():
            self._place(source.instance)
            return
        make: Callable[[], Any] = getattr(source.instance, source.name)

        def placed() -> Any:
            loaders = make()
            source.instance.__dict__.pop(source.name, None)
            self._place(loaders)
            return loaders

        source.instance.__dict__[source.name] = placed

    def _place(self, loaders: Any) -> None:
        for loader in _leaves(loaders):
            position = _position(loader)
            if isinstance(loader, DataLoader) and position is not None and loader.generator is None:
                loader.generator = torch.Generator().manual_seed(entropy(self._seed, "data", "loader") % 2**63)
            if position is not None and self._resumed_at is not None:
                position.epoch, position.start = self._epoch, self._resumed_at * position.batch_size

    def to_epoch(self, epoch: int) -> None:
        """Let loaders that know their position begin this epoch, unless they stand in it already."""
        for loader in _leaves(self.trainer.train_dataloader):
            position = _position(loader)
            if position is not None and position.epoch != epoch:
                position.epoch, position.start = epoch, 0

    def doubts(self) -> list[str]:
        """Loaders without a position begin their epoch anew after a resume."""
        if all(_position(loader) is not None for loader in _leaves(self.trainer.train_dataloader)):
            return []
        advice = "workbench.Batches keeps one"
        return [f"the loader keeps no position, so a resume or fork goes on with other batches ({advice})"]


def _leaves(loaders: Any) -> Iterator[Any]:
    flattened = getattr(loaders, "flattened", None)  # Lightning's own combination
    yield from flattened if flattened is not None else tree_leaves(loaders)


def _position(loader: Any) -> Any:
    """What says where a loader stands: itself or its sampler, with `epoch`, `start` (in samples) and `batch_size`."""
    for thing in (loader, getattr(loader, "batch_sampler", None), getattr(loader, "sampler", None)):
        if all(hasattr(thing, name) for name in ("epoch", "start", "batch_size")):
            return thing
    return None


def follow_batch_size(trainer: pl.Trainer) -> bool:
    """Let the epoch have as many batches as its loader says now: a batch size may just have moved. True if it did.

    Lightning reads the length once; left alone, an epoch with smaller batches would end early and one with larger ones
    would never see its last batch.
    """
    loop = trainer.fit_loop
    loader: Any = trainer.train_dataloader
    if loop._combined_loader is None or not hasattr(loader, "__len__") or trainer.limit_train_batches != 1.0:
        return False
    batches = len(loader)
    if batches == loop.max_batches:
        return False
    loop.max_batches = batches
    loop._combined_loader.limits = [batches]
    if isinstance(trainer.val_check_interval, float):
        trainer.val_check_batch = max(1, int(batches * trainer.val_check_interval))
    return True
