"""The worker: one process that trains one run. ``python -m workbench.steering.worker RUN_FOLDER``."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import logging
import operator
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from workbench.cards import Card, WorkbenchError
from workbench.journal import RunDir, RunLock
from workbench.runs.claims.reuse import fingerprint
from workbench.runs.compose import restored
from workbench.runs.environment import environment
from workbench.runs.run import Run
from workbench.runs.store import Store
from workbench.steering.session import Session


def main(folder: str) -> int:
    """Train the run in a folder; 0 if it finished or was stopped, 1 if it failed."""
    run = Run.open(RunDir(folder))
    _name_process(run.id)
    store = Store(run.dir.path.parent)
    try:
        status: int | RunLock = _train(run)
        while isinstance(status, RunLock):  # it left at a fork's step to be built anew
            status = _train(Run.open(run.dir), status)
        return status
    finally:
        from workbench.runs.launch import start_queued

        start_queued(store)


def _train(run: Run, lock: RunLock | None = None) -> int | RunLock:
    """Train; the exit status, or the run's lock if the run left to be built anew."""
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
                    config = restored(card, _tree(run))
                said = [str(w.message) for w in caught]
                session = stack.enter_context(_session(run, card, config, lock))
            except WorkbenchError as error:  # another worker holds the run, or its folder cannot be used
                print(error, file=sys.stderr)
                return 2
            for text in said:
                session.writer.event("warning", {"text": text})
            with noted(session, card.package.partition(".")[0]):
                train(session, card)
        return session.lock if session.rebuilding else 0
    except Exception:  # noqa: BLE001 (the session has recorded it as the failure of the run)
        traceback.print_exc()
        return 1


def _tree(run: Run) -> dict[str, Any]:
    """The configuration to build from: until a fork's first state is saved, with what it changes as it was before."""
    tree: dict[str, Any] = copy.deepcopy(run.config)
    if not run.checkpoints:
        for name, value in (tree.get("run", {}).get("before") or {}).items():
            *parents, last = name.split(".")
            functools.reduce(operator.getitem, parents, tree)[last] = value
    return tree


def _session(run: Run, card: Card, config: Any, lock: RunLock | None) -> Session:
    from workbench.detectors import load

    _threads(run)
    return Session(
        run.dir,
        config,
        tree=run.config,
        known=True,
        lock=lock,
        detectors=tuple(load(card)),
        probes={p.name: p.every for p in card.probes},
        meta={
            "experiment": run.experiment,
            "seed": run.seed,
            "pid": os.getpid(),
            "environment": environment(),
            "fingerprint": _fingerprint(run, card),
            "card": {"title": card.title, "signals": [s.name for s in card.signals]},
        },
    )


def _fingerprint(run: Run, card: Card) -> str:
    """What trains the run besides its configuration; of both, should it go on under other code or versions."""
    now, before = fingerprint(card), run.reader.meta.get("fingerprint")
    return now if before in (None, now) else f"{before}+{now}"


def train(session: Session, card: Card) -> None:
    """Import the method's code and run it: ``train(config, session)``, a Lightning ``Module``, or a ``trainer``.

    The last returns a transformers Trainer.
    """
    name = card.package + card.module if card.module.startswith(".") else card.module
    code = importlib.import_module(name)
    if hasattr(code, "train"):
        code.train(session.config, session)
    elif hasattr(code, "Module"):
        from workbench.steering.lightning_adapter import fit

        fit(code.Module(session.config, session), session, session.config.steps)
    elif hasattr(code, "trainer"):
        from workbench.steering import transformers

        transformers.fit(code.trainer(session.config, session), session)
    else:
        raise WorkbenchError(
            f"{name} defines none of train(config, session), a LightningModule called Module, and trainer(config, "
            "session)."
        )


@contextlib.contextmanager
def noted(session: Session, package: str) -> Iterator[None]:
    """Warnings from the code of this top-level package become events of the run; those of libraries only its log."""
    folders = tuple(importlib.import_module(package).__path__)

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        if filename.startswith(folders):
            session.recorder.complain(str(message))
        else:
            before(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        before = warnings.showwarning
        warnings.showwarning = show
        yield


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
