"""Starting runs: compose, create the folder, hand it to a worker now or leave it in the queue."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.cards import StoreError
from workbench.runs import spare
from workbench.runs.compose import compose
from workbench.runs.run import Run
from workbench.runs.store import Store


def launch(
    experiment: str,
    *,
    arm: str | None = None,
    preset: str | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    group: str = "",
    store: Store | None = None,
) -> Run:
    """Start a run in its own process (or queue it, if as many as there are cores are running) and return at once.

    Raises:
        UnknownName, InvalidValue: nothing was created.
        StoreError: the store cannot be written.
    """
    extra = {"run.group": group} if group else {}
    tree = compose(experiment, arm=arm, preset=preset, seed=seed, overrides={**(overrides or {}), **extra})
    store = store or Store.find()
    run = store.create(tree)
    start_queued(store)
    return run


def new_group() -> str:
    """A fresh name for runs that are started together."""
    return time.strftime("g%Y%m%d%H%M%S") + secrets.token_hex(2)


def capacity() -> int:
    """How many runs train at once on this machine: `$WORKBENCH_MAX_RUNS`, else the number of cores (at least 2).

    Paused runs do not count, and a fork may be one more.
    """
    text = os.environ.get("WORKBENCH_MAX_RUNS", "")
    return max(1, int(text)) if text.isdigit() else max(2, os.cpu_count() or 1)


def start_queued(store: Store) -> None:
    """Give waiting runs, oldest first, to workers while there is room; launching does it, and each worker that ends."""
    with _locked(store):
        busy, waiting = 0, []
        for run in store.runs(active=True):
            state = run.state
            if state == "queued":
                if run.card or run.notes.get("wanted"):  # a program of one's own begins its run by itself
                    waiting.append(run)
            elif state in ("starting", "running"):  # a paused run needs no processor
                busy += 1
        for run in reversed(waiting):
            if busy >= capacity() + bool(run.parent):  # somebody waits in front of a fork: it need not queue
                continue
            taken = spare.hand_over(run) if run.card else None
            pid = taken or _spawn(run)
            run.notes.set("worker", {"pid": pid, "time": time.time(), "spare": bool(taken)})
            if taken:
                spare.warm_later()
            busy += 1


@contextlib.contextmanager
def _locked(store: Store) -> Iterator[None]:
    try:
        store.path.mkdir(parents=True, exist_ok=True)
        with (store.path / "queue.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StoreError(f"The store {store.path} cannot be used: {error.strerror or error}.") from error


def _spawn(run: Run) -> int:
    """A fresh worker process, detached from this one: it outlives the notebook and takes no signal meant for it.

    A run of somebody's own program is trained by that program, told by `$WORKBENCH_RUN` which run it is.
    """
    settings = run.config.get("run", {})
    if run.card:
        command, cwd = [sys.executable, "-m", "workbench.steering.worker", str(run.dir.path)], str(Path.cwd())
    else:
        command, cwd = list(settings["command"]), str(settings.get("cwd") or Path.cwd())
    with run.dir.log.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=cwd,
            env=worker_env(run),
        )  # fmt: skip
    spare.reap_later(process)
    return process.pid


def worker_env(run: Run) -> dict[str, str]:
    """The environment of a worker: the caller's, with the thread counts of the run."""
    if run.card is None:
        return {**os.environ, "WORKBENCH_RUN": str(run.dir.path)}
    threads = str(run.config.get("run", {}).get("threads", 1))
    return {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
