"""The final model in MLflow's own format, made by a short job. ``python -m workbench.tracking.model MODEL FOLDER``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from workbench.cards.errors import WorkbenchError

_PATIENCE = 300  # seconds


def convert(kept: Path, folder: Path) -> None:
    """Write the model that a run kept at its end as an MLflow model in `folder`, in a process of its own.

    Raises:
        WorkbenchError: with the job's last words.
    """
    command = [sys.executable, "-m", "workbench.tracking.model", str(kept), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise WorkbenchError(f"Writing the model took more than {_PATIENCE} s and was given up.") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise WorkbenchError(f"The model could not be written: {words[0]}")


def main(kept: str, folder: str) -> int:
    """The job: torch and mlflow are imported here and nowhere else in this room."""
    import mlflow.models
    import mlflow.pytorch
    import torch

    # Written by this run's own worker, beside its journal: as trustworthy as the code that trains.
    model, example = torch.load(kept, weights_only=False, map_location="cpu")
    with torch.no_grad():
        signature = mlflow.models.infer_signature(example.numpy(), model.eval()(example).numpy())
    # Pickled, not traced: a traced graph would hold on to the example's batch size.
    mlflow.pytorch.save_model(
        model,
        folder,
        signature=signature,
        serialization_format="pickle",
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}", "balance-workbench"],
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
