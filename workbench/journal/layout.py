"""Where things lie in a run's folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KEPT_MODEL = "model.pt"  # among the artifacts: the final model, for the copy in MLflow


@dataclass(frozen=True)
class RunDir:
    """The folder of one run; nothing is created by naming it."""

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", Path(path))

    @property
    def id(self) -> str:
        """The run's id: the folder's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """What the worker records; written by the lock's holder alone."""
        return self.path / "journal.db"

    @property
    def inbox(self) -> Path:
        """Commands to the worker, written by anybody."""
        return self.path / "inbox.db"

    @property
    def notes(self) -> Path:
        """Names, stars, the mirror's marks; written by anybody."""
        return self.path / "notes.db"

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoint files."""
        return self.path / "checkpoints"

    @property
    def artifacts(self) -> Path:
        """Folder of anything else a run leaves."""
        return self.path / "artifacts"

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self.path / "worker.log"

    @property
    def lock(self) -> Path:
        """Held by the living worker."""
        return self.path / "worker.lock"
