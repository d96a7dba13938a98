"""Lightning: the class charts of anybody's classifier, from one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from workbench.cards.errors import InvalidValue
from workbench.per_class import PerClass

Answer = tuple[Tensor, Tensor]


class ClassReport(pl.Callback):
    """Accuracy a class, groups of frequent and rare classes, and confusion, after every validation.

    ``Trainer(callbacks=[workbench.Steering(), workbench.ClassReport(names, counts)])``

    Predictions and labels come from what the module's `validation_step` returns, if that is a mapping with ``logits``
    (or ``preds``) and ``target`` (or ``y``); else the module is called on the first part of the batch, and the second
    part holds the labels. With several processes the first one's part of the data is recorded.

    Args:
        classes: their names in the order of the labels, or how many there are.
        counts: training examples of each class; with them, classes with many and with few examples are told apart.
        answer: ``answer(module, batch)`` gives scores (N, C) or labels (N,), and the right labels (N,), where neither
            of the two ways above will do.
        borders: see `workbench.PerClass`.
    """

    def __init__(
        self,
        classes: int | Sequence[str],
        counts: ArrayLike | None = None,
        *,
        answer: Callable[[pl.LightningModule, Any], Answer] | None = None,
        borders: tuple[int, int] | None = None,
    ) -> None:
        self.classes = PerClass(classes, counts, borders=borders)
        self.answer = answer
        self._seen: list[Answer] = []

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self._seen = []

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep the batch's predictions. Raises `InvalidValue` where there are none to be found."""
        with torch.no_grad():
            scores, target = self._answer(pl_module, outputs, batch)
        predicted = scores.argmax(-1) if scores.ndim > 1 else scores
        self._seen.append((predicted.detach().cpu(), target.detach().cpu()))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record what all batches say together."""
        if self._seen and not trainer.sanity_checking and trainer.global_rank == 0:
            predicted, target = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
            self.classes.emit(predicted, target)

    def _answer(self, module: pl.LightningModule, outputs: Any, batch: Any) -> Answer:
        if self.answer is not None:
            return self.answer(module, batch)
        if isinstance(outputs, Mapping):
            scores = next((outputs[n] for n in ("logits", "preds") if n in outputs), None)
            target = next((outputs[n] for n in ("target", "y") if n in outputs), None)
            if scores is not None and target is not None:
                return scores, target
        if isinstance(batch, list | tuple) and len(batch) == 2 and isinstance(batch[1], Tensor):
            return module(batch[0]), batch[1]
        raise InvalidValue(
            "ClassReport finds no predictions: a validation batch is no pair of inputs and labels, and validation_step "
            "returns no mapping with 'logits' and 'target'. Return one, or pass answer=."
        )
