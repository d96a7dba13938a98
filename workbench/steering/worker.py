"""The worker: one process that trains one run. ``python -m workbench.steering.worker RUN_FOLDER``."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import traceback
import warnings
from typing import Any

from workbench.cards import Card, WorkbenchError
from workbench.journal import RunDir
from workbench.runs.compose import restored
from workbench.runs.run import Run
from workbench.runs.store import Store
from workbench.steering.environment import environment
from workbench.steering.session import Session


def main(folder: str) -> int:
    """Train the run in a folder; 0 if it finished or was stopped, 1 if it failed."""
    run = Run.open(RunDir(folder))
    _name_process(run.id)
    store = Store(run.dir.path.parent)
    try:
        return _train(run)
    finally:
        from workbench.runs.launch import start_queued

        start_queued(store)


def _train(run: Run) -> int:
    card = run.card
    if card is None:
        print(f"{run.experiment} is not installed here, so it cannot be trained.", file=sys.stderr)
        return 2
    _quieten()
    try:
        with contextlib.ExitStack() as stack:
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    config = restored(card, run.config)
                said = [str(w.message) for w in caught]
                session = stack.enter_context(_session(run, card, config))
            except WorkbenchError as error:  # another worker holds the run, or its folder cannot be used
                print(error, file=sys.stderr)
                return 2
            for text in said:
                session.writer.event("warning", {"text": text})
            train(session, card)
    except Exception:  # noqa: BLE001 (the session has recorded it as the failure of the run)
        traceback.print_exc()
        return 1
    return 0


def _session(run: Run, card: Card, config: Any) -> Session:
    from workbench.detectors import load

    _threads(run)
    return Session(
        run.dir,
        config,
        tree=run.config,
        detectors=tuple(load(card)),
        probes={p.name: p.every for p in card.probes},
        meta={
            "experiment": run.experiment,
            "seed": run.seed,
            "pid": os.getpid(),
            "environment": environment(),
            "card": {"title": card.title, "signals": [s.name for s in card.signals]},
        },
    )


def train(session: Session, card: Card) -> None:
    """Import the method's code and run it: its ``train(config, session)``, or its Lightning ``Module``."""
    name = card.package + card.module if card.module.startswith(".") else card.module
    code = importlib.import_module(name)
    if hasattr(code, "train"):
        code.train(session.config, session)
    elif hasattr(code, "Module"):
        from workbench.steering.lightning_adapter import fit

        fit(code.Module(session.config, session), session, session.config.steps)
    else:
        raise WorkbenchError(f"{name} defines neither train(config, session) nor a LightningModule called Module.")


def _threads(run: Run) -> None:
    import torch

    torch.set_num_threads(int(run.config.get("run", {}).get("threads", 1)))


def _quieten() -> None:
    """Lightning's advice about loaders and loggers is not for a run that is built by us."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*")


def _name_process(run_id: str) -> None:
    try:
        from setproctitle import setproctitle
    except ImportError:
        return
    setproctitle(f"workbench {run_id}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
