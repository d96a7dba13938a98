"""Checkpoints: the state of everything registered and all random state, as tensors and plain data, in one file."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import torch

from workbench.cards.controls import flat
from workbench.steering.randomness import global_state

if TYPE_CHECKING:
    from workbench.steering.session import Session


def save(session: Session) -> None:
    """Write a checkpoint of the state before the session's present step and record it with its SHA-256.

    The file appears under its name only when it is complete and on disk. A failure is recorded as a warning and
    training goes on.
    """
    folder = session.rundir.checkpoints
    watermark = session.watermark
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("*.pt")))
        path = folder / f"step{session.step:09d}-{session.desk.attempt}-{number}.pt"
        temporary = path.with_suffix(".part")
        with temporary.open("wb") as file:
            torch.save(_state(session), file)
            file.flush()
            os.fsync(file.fileno())
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        temporary.replace(path)
    except OSError as error:
        session.writer.event(
            "warning",
            {"text": f"The checkpoint at step {session.step:,} could not be written: {error}. Training goes on."},
            step=session.step,
        )
        return
    session.writer.checkpoint(session.step, path.name, path.stat().st_size, digest, watermark)


def _state(session: Session) -> dict[str, Any]:
    training = session.training
    gradients = {
        f"{name}.{key}": p.grad
        for name, module in training.modules.items()
        for key, p in module.named_parameters()
        if p.grad is not None
    }
    return {
        "step": session.step,
        "watermark": session.watermark,
        "config": flat(session.config),
        "beside": dict(session.desk.beside),
        "objects": {name: thing.state_dict() for name, thing in training.stateful()},
        "gradients": gradients,
        "random": {"global": global_state(), "streams": session.streams.state_dict()},
    }
