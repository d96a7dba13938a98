"""A session in the user's own process: `with workbench.session(config, experiment="my/idea") as s:`."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.cards import RESERVED, InvalidValue, card, experiments
from workbench.cards.controls import plain
from workbench.runs.store import Store
from workbench.steering.environment import environment
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
) -> Session:
    """A new run for a loop of one's own; a context manager. Needs no torch.

    Args:
        config: a dataclass whose fields declared with `control` become knobs; None: no knobs but the optimizer's.
        experiment: ``family/method``, e.g. ``my/idea``: under this name the run stands in the store and in MLflow.
        seed: of the named random streams and of the global generators.
        detectors: objects to watch the signals; default: those of the experiment's card, else all generic ones.
        mlflow: whether to mirror the run to MLflow.

    Raises:
        InvalidValue: a config that is no dataclass, or a field with a reserved name.
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
    tree: Mapping[str, Any] = {
        "experiment": experiment,
        "seed": seed,
        "arm": None,
        "preset": None,
        "run": {"name": name, "group": group, "threads": None, "device": None, "flush_ms": 250},
        "tracking": {"mlflow": mlflow, "resolution": "thinned"},
        "rules": [],
        **own,
    }
    store = store or Store.find()
    run = store.create(tree)
    return Session(
        run.dir,
        config,
        tree=tree,
        detectors=tuple(_detectors(experiment) if detectors is None else detectors),
        meta={"experiment": experiment, "seed": seed, "pid": os.getpid(), "environment": environment()},
    )


def open_session(config: Any = None, **options: Any) -> Session:
    """A session that is already entered; its owner calls `close` or `fail`."""
    return session(config, **options).__enter__()


@dataclasses.dataclass
class Empty:
    """The configuration of somebody who has none."""


def _detectors(experiment: str) -> list[Any]:
    from workbench.detectors import load

    return list(load(card(experiment) if experiment in experiments() else None))
