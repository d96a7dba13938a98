"""How soon a moved control takes effect."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

import workbench
from tests.benchmarks.figures import Row, Value, of
from workbench.cards import WorkbenchError, control
from workbench.runs import Run, Store

NUMBER = 6
EXPERIMENT = "bench/steered"
_TRAINER = "from tests.benchmarks.rows.command import train; train({ms!r})"
_LONG = 10**9


@dataclass
class Knobs:
    """What is moved."""

    x: float = control(0.0, min=0, max=1e6)


def train(milliseconds: float) -> None:
    """In another process: steps of pure Python that take so long each, until the run is stopped."""
    with workbench.session(Knobs(), experiment=EXPERIMENT, mlflow=False) as session:
        for step in session.steps(_LONG):
            end = time.perf_counter() + milliseconds / 1e3
            while time.perf_counter() < end:
                pass
            workbench.emit("step", float(step))


def measure(quick: bool) -> Row:
    """Commands at random moments; each is over when a reader in this process sees the worker's record of it."""
    count = 10 if quick else 100
    seen, written = _commands(1.0, count)
    slow, _ = _commands(200.0, max(5, count // 5))
    return Row(
        "A command written, until it is recorded as applied",
        f"{count} sets at random moments to a loop of 1 ms steps of pure Python in another process; a reader here asks "
        "for the record every millisecond, from the moment the command is durable in the inbox.",
        [of("1 ms steps, median", seen, "ms", most=50)],
        [
            Value("1 ms steps, 95th percentile", float(np.percentile(seen, 95)), "ms"),
            Value("1 ms steps, longest", max(seen), "ms"),
            of("run.set() itself, until the command is durable", written, "ms"),
            of("200 ms steps, median", slow, "ms"),
        ],
    )


def _commands(milliseconds: float, count: int) -> tuple[list[float], list[float]]:
    chance = random.Random(0)
    trainer = subprocess.Popen([sys.executable, "-c", _TRAINER.format(ms=milliseconds)])
    try:
        run = _running(trainer)
        seen, written = [], []
        for number in range(count):
            time.sleep(chance.uniform(0.03, 0.3))
            began = time.perf_counter()
            command = run.set(x=float(number + 1))
            issued = time.perf_counter()
            while (record := run.outcome(command.seq)) is None:
                time.sleep(0.001)
            seen.append(1e3 * (time.perf_counter() - issued))
            written.append(1e3 * (issued - began))
            assert record.outcome == "applied", record
        run.stop()
        trainer.wait(60)
    finally:
        trainer.kill()
    return seen, written


def _running(trainer: subprocess.Popen[bytes]) -> Run:
    known = set(Store.find().ids())
    while trainer.poll() is None:
        for run_id in set(Store.find().ids()) - known:
            with suppress(WorkbenchError):  # its configuration is being written this moment
                run = Store.find().run(run_id)
                if run.state == "running" and run.step > 0:
                    return run
        time.sleep(0.02)
    raise RuntimeError("the trainer ended before it trained")
