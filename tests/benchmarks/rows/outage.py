"""What it costs training that MLflow is there, or is locked, hangs or fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import workbench
from tests.benchmarks.blocks import Block, Way, interleave, ratios
from tests.benchmarks.browser import until
from tests.benchmarks.figures import Row, of
from tests.benchmarks.rows.loop import recorded
from tests.benchmarks.training import Training, millisecond
from tests.faults.proxy import Proxy, before
from workbench.runs import Store
from workbench.tracking import status

NUMBER = 13
_PLANNED = 40_000  # steps of each run; how thinned a copy the mirror sends depends on it
_TRAINER = "from tests.benchmarks.rows.outage import train; train({batch!r}, {mlflow!r})"


def train(batch: int, mlflow: bool) -> None:
    """In another process: for each number on standard input so many steps, and what they took as an answer."""
    training = Training(batch)
    with workbench.session(experiment="bench/outage", mlflow=mlflow) as session:
        trained = session.steps(_PLANNED)
        for line in sys.stdin:
            blocks: list[Block] = []
            recorded(training, trained, session, int(line), blocks)
            print(json.dumps(vars(blocks[0])), flush=True)


class _Trainer:
    """A run in a process and a store of its own, with its own mirror, which stands still while others are measured."""

    def __init__(self, folder: Path, batch: int, *, mlflow: bool = True, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.store = Store(folder)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TRAINER.format(batch=batch, mlflow=mlflow)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "WORKBENCH_HOME": str(folder), **environment},
        )  # fmt: skip
        self.steps(10)

    def steps(self, count: int) -> Block:
        """Train so many."""
        assert self._process.stdin
        assert self._process.stdout
        print(count, file=self._process.stdin, flush=True)
        return Block(**json.loads(self._process.stdout.readline()))

    def way(self, steps: int) -> Way:
        """A block of `steps`, with the mirror at work."""

        def run(into: list[Block]) -> None:
            self._signal(signal.SIGCONT)
            into.append(self.steps(steps))
            self._signal(signal.SIGSTOP)

        return run

    def _signal(self, number: int) -> None:
        if pid := status(self.store).pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self) -> None:
        """End both processes."""
        self._process.kill()
        self._process.wait()
        self._signal(signal.SIGKILL)


def measure(quick: bool) -> Row:
    """The same recorded loop in five processes: without MLflow, with it, and with it out of order."""
    steps, rounds = (150, 3) if quick else (1_000, 20)
    batch, _ = millisecond()
    with tempfile.TemporaryDirectory() as folder, _ways(Path(folder), batch) as trainers:
        found = interleave({name: trainer.way(steps) for name, trainer in trainers.items()}, rounds)
        alive = [name for name, trainer in trainers.items() if status(trainer.store).pid]
    words = {
        "reachable": "reachable (SQLite)", "locked": "locked by another process", "hangs": "a server that hangs",
        "fails": "a server that answers 500",
    }  # fmt: skip
    assert alive == [*words], f"only the mirrors of {alive} lived to the end"
    return Row(
        "A recorded training step with MLflow reachable, locked, hanging or failing, against none",
        f"{rounds} interleaved blocks of {steps:,} steps of about 1 ms that record 5 floats each; five processes, each "
        "with a run, a store and (but one) a mirror of its own, which is halted while the others train. A block ends "
        "with a flush that is counted.",
        [of(f"MLflow {words[n]}, wall", ratios(found, n, "none"), "×", most=1.05) for n in words],
        [
            of("one step without MLflow", [1e3 * b.wall for b in found["none"]], "ms"),
            *(of(f"MLflow {words[n]}, CPU of the training thread", ratios(found, n, "none", "cpu"), "×")
              for n in words),
        ],
    )  # fmt: skip


@contextlib.contextmanager
def _ways(folder: Path, batch: int) -> Iterator[dict[str, _Trainer]]:
    with contextlib.ExitStack() as stack:

        def trainer(name: str, **options: str | bool) -> _Trainer:
            made = _Trainer(folder / name, batch, **options)  # type: ignore[arg-type]
            stack.callback(made.close)
            return made

        made = {"none": trainer("none", mlflow=False), "reachable": trainer("reachable")}
        _until(made["reachable"], lambda t: status(t.store).sent > 0, "the first values in MLflow")
        (folder / "locked").mkdir()
        with contextlib.closing(sqlite3.connect(folder / "reachable" / "mlflow.db", timeout=60)) as source:
            holder = stack.enter_context(
                contextlib.closing(sqlite3.connect(folder / "locked" / "mlflow.db", isolation_level=None))
            )
            source.backup(holder)
        holder.execute("BEGIN EXCLUSIVE")
        made["locked"] = trainer("locked")
        for name, mood in (("hangs", "hang"), ("fails", "500")):
            proxy: Proxy = stack.enter_context(before(0))
            proxy.mood = mood
            made[name] = trainer(name, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{proxy.port}")
            _until(made[name], lambda _, p=proxy: sum(p.met.values()) > 0, f"a request to the server that {name}")
        _until(made["locked"], lambda t: bool(status(t.store).error or status(t.store).errors), "the lock's effect")
        yield made


def _until(trainer: _Trainer, condition: object, what: str) -> None:
    def met() -> object:
        trainer.steps(20)
        return condition(trainer)  # type: ignore[operator]

    until(met, 180, what)
