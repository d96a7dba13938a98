"""What every fault needs: how often it happens, runs to interrupt, waiting, and a place for the counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workbench.journal import CommandRecord
from workbench.journal.lock import holder
from workbench.runs import Run, Store, launch

FULL = os.environ.get("WORKBENCH_FAULTS") == "full"
ROOT = Path(__file__).parents[2]
PATIENCE = float(
    os.environ.get("WORKBENCH_FAULTS_PATIENCE", "120")
)  # seconds until a test gives up waiting; nothing is measured by it


def times(reduced: int, full: int) -> int:
    """How often a fault happens: `full` in ``make faults``, `reduced` in the suite."""
    return full if FULL else reduced


def start(experiment: str = "faults/plain", *, store: Store | None = None, **overrides: Any) -> Run:
    """A run in a process of its own, without a copy in MLflow unless `tracking` says so."""
    named = {k.replace("__", "."): v for k, v in overrides.items()}
    return launch(experiment, overrides={"tracking": "off", "run.flush_ms": 50, **named}, store=store)


def pid_of(run: Run) -> int | None:
    """The process that holds the run's lock."""
    return holder(run.dir.lock)


def kill(run: Run) -> float:
    """SIGKILL the run's worker; when, on the monotonic clock."""
    pid = pid_of(run) or (run.notes.get("worker") or {})["pid"]
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def kill_all() -> None:
    """SIGKILL every run of the store that is in hand."""
    for run in Store.find().runs():
        if pid_of(run):
            kill(run)


def until(
    true: Callable[[], Any],
    what: str,
    run: Run | None = None,
    patience: float = PATIENCE,
    say: Callable[[], object] = str,
) -> Any:
    """Wait for something that must come; when it does not, the worker's own words and what `say` gives are shown."""
    end = time.monotonic() + patience
    while not (found := true()):
        if time.monotonic() > end:
            words = f"\n{run!r} {run.message}\n{run.dir.log.read_text()[-2000:]}" if run is not None else ""
            raise AssertionError(f"waited in vain for {what}{words}\n{say()}")
        time.sleep(0.01)
    return found


def reach(run: Run, step: int) -> None:
    """Wait until `step` is recorded."""
    until(lambda: run.step >= step, f"step {step:,}", run)


def names(error: Exception, words: str) -> None:
    """An error says this."""
    assert words in str(error)


def module(name: str, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """A process that runs a module of the tests'; it ends when its standard input is closed."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.faults.{name}", *map(str, arguments)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def end(*processes: subprocess.Popen[str]) -> None:
    """Close their inputs, wait, and see to it that they are gone."""
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def whole(run: Run, first: int, last: int) -> None:
    """Every curve of the run has exactly one value at each step from `first` to `last`, and nothing is damaged."""
    run.refresh()
    assert run.reader.damage == []
    names = run.reader.names()
    assert set(names) == {"loss", "norm", "strength", "lr", "shrinks", "cpu", "outputs"}
    for name, kind in names.items():
        points = run.reader.scalars(name) if kind == "scalar" else run.reader.arrays(name)
        assert points.steps.tolist() == list(range(first, last + 1)), name


def answered(run: Run, issued: int) -> list[CommandRecord]:
    """The outcome of each of the `issued` commands, once each and in order; and their effects are what training saw.

    Those that name a step may be decided after younger ones. The curves of the moved control and of the action's
    counter must be those that follow from the record alone.
    """
    records = run.interventions
    assert sorted(r.seq for r in records) == list(range(1, issued + 1))
    at_once = [r.seq for r in records if r.at_step is None]
    assert at_once == sorted(at_once)
    steps = [r.step for r in records if r.kind in ("set", "action")]  # a pause outlives no kill, and leaves no trace
    assert steps == sorted(steps)
    curve, done = run["strength"], run["shrinks"]
    want, count = np.full(len(curve), 1.0), np.zeros(len(done))
    for record in records:
        if record.outcome == "applied" and record.kind == "set" and "strength" in record.new:
            want[curve.steps >= record.step] = record.new["strength"]
        if record.outcome == "applied" and record.kind == "action":
            count[done.steps >= record.step] += 1
    np.testing.assert_array_equal(curve.values, want)
    np.testing.assert_array_equal(done.values, count)
    return records
