"""What a transformers Trainer keeps for itself: its position, and TRL's rollouts. Its private names stand here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from workbench.steering.grpo import GRPO

_UNKEPT = ("log_history", "stateful_callbacks", "trial_params")  # grow without end, or are nobody's state


class TrainerState:
    """The Trainer's part of a checkpoint, for `session.framework`.

    Args:
        trainer: about to train.
        grpo: its live controls and rollouts, if it is TRL's `GRPOTrainer`.
    """

    def __init__(self, trainer: Any, grpo: GRPO | None) -> None:
        self.trainer, self.grpo = trainer, grpo

    def parts(self) -> dict[str, Any]:
        """What to register, by name: of a model that is trained in part, as with LoRA, that part."""
        trainer = self.trainer
        trained = {n: p for n, p in trainer.model.named_parameters() if p.requires_grad}
        whole = len(trained) == sum(1 for _ in trainer.model.parameters())
        # A ParameterDict shares the parameters and is a module itself; its names may hold no dots.
        model = trainer.model if whole else torch.nn.ParameterDict({n.replace(".", "/"): p for n, p in trained.items()})
        # Its schedule knows the optimizer either as it is or as accelerate wraps it.
        optimizer = getattr(trainer.lr_scheduler, "optimizer", trainer.optimizer)
        found = {"model": model, "optimizer": optimizer, "schedule": trainer.lr_scheduler}
        if getattr(trainer.args, "sync_ref_model", False):
            found["reference"] = trainer.ref_model
        return found if self.grpo is None else {**found, "grpo": self.grpo}

    def covered(self) -> set[int]:
        """Nothing: what is registered has its state beside this one."""
        return set()

    def state_dict(self) -> dict[str, Any]:
        """The position, as the Trainer's own checkpoints have it in trainer_state.json."""
        state = self.trainer.state
        kept = {f.name: getattr(state, f.name) for f in dataclasses.fields(state) if f.name not in _UNKEPT}
        return {"position": json.dumps(kept)}

    def doubts(self) -> list[str]:
        """What no checkpoint holds and this Trainer may have."""
        args, trainer, found = self.trainer.args, self.trainer, []
        if not hasattr(trainer.train_dataset, "__len__"):
            found.append("the data are a stream, which a resume or fork reads anew up to its position")
        if args.dataloader_num_workers:
            found.append("the loader's workers draw random numbers of their own")
        if args.fp16:
            found.append("the loss scale of fp16 is not kept")
        if args.logging_steps != 1:
            found.append("means over several logged steps begin anew after a resume (logging_steps=1 has none)")
        if self.grpo is not None and trainer.shuffle_dataset and trainer.state.num_train_epochs > 1:
            found.append("trl shuffles later epochs anew after a resume (shuffle_dataset=False does not)")
        return found


@contextlib.contextmanager
def resumed(trainer: Any, checkpoint: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Options of `train` that let the Trainer go on where a session's checkpoint was taken, its own way with the data.

    Weights, optimizer, schedule and random state are the session's to restore, so the Trainer finds none in the folder.
    """
    if checkpoint is None:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        Path(folder, "trainer_state.json").write_text(checkpoint["framework"]["position"], "utf-8")
        trainer._load_from_checkpoint = lambda *args, **options: None
        try:
            yield {"resume_from_checkpoint": folder}
        finally:
            del trainer._load_from_checkpoint
