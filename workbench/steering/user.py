"""A session in the user's own process: `with workbench.session(config, experiment="my/idea") as s:`."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.cards import RESERVED, InvalidValue, NotAllowed, card, experiments
from workbench.cards.controls import flat, plain, put
from workbench.cards.rules import parse
from workbench.journal import RunDir
from workbench.runs.environment import environment, scrub
from workbench.runs.run import Run
from workbench.runs.store import Store
from workbench.steering.session import Session


def session(
    config: Any = None,
    *,
    experiment: str,
    seed: int = 0,
    name: str = "",
    group: str = "",
    store: Store | None = None,
    detectors: Iterable[Any] | None = None,
    mlflow: bool = True,
    rules: Any = (),
    resume: str = "",
) -> Session:
    """A new run for a loop of one's own; a context manager. Needs no torch.

    Args:
        config: a dataclass whose fields declared with `control` become knobs; None: no knobs but the optimizer's.
        experiment: ``family/method``, e.g. ``my/idea``: under this name the run stands in the store and in MLflow.
        seed: of the named random streams and of the global generators.
        detectors: objects to watch the signals; default: those of the experiment's card, else all generic ones.
        mlflow: whether to mirror the run to MLflow.
        resume: id of a stopped, failed or lost run to go on with, in its own folder, from its last checkpoint. Also a
            fork or replay that waits for this program. `$WORKBENCH_RUN` says the same, which is how
            ``workbench resume`` starts a program again.

    Raises:
        InvalidValue: a config that is no dataclass, or a field with a reserved name.
        NotAllowed: a run to resume that is of another experiment, or has finished.
    """
    if not re.fullmatch(r"[a-z0-9_]+/[a-z0-9_]+", experiment):
        raise InvalidValue(
            f"experiment must look like 'my/idea' (lower case, digits, underscores); got '{experiment}'."
        )
    config = Empty() if config is None else config
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise InvalidValue(f"config must be an instance of a dataclass; got {config!r}.")
    own = plain(config)
    if clash := [n for n in own if n in RESERVED and n != "optimizer"]:
        raise InvalidValue(f"The field name '{clash[0]}' belongs to the workbench; call it something else.")
    store = store or Store.find()
    if waiting := _waiting(experiment, resume, store):
        for name_, value in flat({n: waiting.config[n] for n in own if n in waiting.config}).items():
            put(config, name_, value)
        return _session(waiting, config, detectors)
    tree: Mapping[str, Any] = {
        "experiment": experiment,
        "seed": seed,
        "arm": None,
        "preset": None,
        "run": {"name": name, "group": group, "threads": None, "device": None, "flush_ms": 250, **_command()},
        "tracking": {"mlflow": mlflow, "resolution": "thinned"},
        "rules": [rule.plain() for rule in parse(rules)],
        **own,
    }
    return _session(store.create(tree), config, detectors)


def _session(run: Run, config: Any, detectors: Iterable[Any] | None) -> Session:
    return Session(
        run.dir,
        config,
        tree=run.config,
        detectors=tuple(_detectors(run.experiment) if detectors is None else detectors),
        meta={"experiment": run.experiment, "seed": run.seed, "pid": os.getpid(), "environment": environment()},
    )


def _waiting(experiment: str, resume: str, store: Store) -> Run | None:
    """The run that this program was started (or told) to go on with; None: a new one."""
    folder = os.environ.pop("WORKBENCH_RUN", "")  # the first session of the program takes it
    if not folder and not resume:
        return None
    run = store.run(resume) if resume else Run.open(RunDir(folder))
    if run.experiment != experiment:
        raise NotAllowed(f"{run.id} is a run of {run.experiment}, and this session is of {experiment}.")
    if run.state == "finished":
        raise NotAllowed(f"{run.id} has finished; fork it, or start a new run.")
    return run


def _command() -> dict[str, Any]:
    """How this program can be started again; a notebook's kernel cannot."""
    words = sys.orig_argv
    if "ipykernel" in sys.modules or len(words) < 2 or words[1] in ("-c", "-"):
        return {"command": None, "cwd": None}
    return {"command": [sys.executable, *(scrub(w) for w in words[1:])], "cwd": str(Path.cwd())}


def open_session(config: Any = None, **options: Any) -> Session:
    """A session that is already entered; its owner calls `close` or `fail`."""
    return session(config, **options).__enter__()


@dataclasses.dataclass
class Empty:
    """The configuration of somebody who has none."""


def _detectors(experiment: str) -> list[Any]:
    from workbench.detectors import load

    return list(load(card(experiment) if experiment in experiments() else None))
