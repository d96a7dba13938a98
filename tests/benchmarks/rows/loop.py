"""What recording costs a loop of millisecond steps, and what other recorders cost it."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import workbench
from tests.benchmarks.blocks import Block, Way, interleave, ratios, timed
from tests.benchmarks.figures import Row, Value, of
from tests.benchmarks.training import Training, millisecond
from workbench.signals import emit
from workbench.tracking import status

NUMBER = 2
_FIRST = 2_000  # steps of the mirrored run before its blocks
NAMES = ("loss", "half", "double", "lr", "rest")


def measure(quick: bool) -> Row:
    """The same loop bare, recorded by Workbench, mirrored to MLflow, recorded by TensorBoard and by MLflow itself."""
    steps, rounds = (150, 3) if quick else (1_000, 24)
    batch, _ = millisecond()
    training = Training(batch)
    with tempfile.TemporaryDirectory() as folder, _tensorboard(folder) as board, _mlflow(folder) as (metric, together):
        slow = max(10, steps // 20)  # MLflow takes several milliseconds a call
        ways: dict[str, Way] = {
            "bare": _bare(training, steps),
            "workbench": _workbench(training, steps),
            "tensorboard": _loop(training, steps, board),
            "log_metric": _loop(training, slow, metric),
            "log_batch": _loop(training, slow, together),
        }
        found = interleave(ways, rounds)
    mirrored, note = _mirrored(training, steps * (1 if quick else 3), max(2, rounds // 4))
    milliseconds = [1e3 * b.wall for b in found["bare"]]
    return Row(
        "A loop of about 1 ms a step that records 5 floats a step, against the same loop bare",
        f"{rounds} interleaved blocks of {steps:,} steps of a small PyTorch network, one thread; ratio of wall time "
        "round by round. A Workbench block has a session of its own and ends with a flush that is counted. With the "
        "mirror: its process is halted while the bare blocks run.",
        [of("Workbench, wall", ratios(found, "workbench", "bare"), "×", most=1.02)],
        [
            of("one bare step", milliseconds, "ms"),
            of("Workbench, CPU of the training thread", ratios(found, "workbench", "bare", "cpu"), "×"),
            of("Workbench, CPU of the whole process", ratios(found, "workbench", "bare", "process"), "×"),
            of("Workbench with the MLflow mirror running, wall", ratios(mirrored, "mirror", "bare"), "×")
            if mirrored
            else Value("Workbench with the MLflow mirror running, wall", None, "×"),
            of("TensorBoard's SummaryWriter, wall", ratios(found, "tensorboard", "bare"), "×"),
            of("TensorBoard, CPU of the training thread", ratios(found, "tensorboard", "bare", "cpu"), "×"),
            of("MLflow's log_metric on SQLite, five calls a step, wall", ratios(found, "log_metric", "bare"), "×"),
            of("MLflow's log_batch on SQLite, one call a step, wall", ratios(found, "log_batch", "bare"), "×"),
        ],
        note,
    )  # fmt: skip


def _bare(training: Training, steps: int) -> Way:
    def run(into: list[Block]) -> None:
        with timed(steps, into):
            for _ in range(steps):
                training.step()

    return run


def _workbench(training: Training, steps: int) -> Way:
    def run(into: list[Block]) -> None:
        with workbench.session(experiment="bench/loop", mlflow=False) as session:
            recorded(training, session.steps(steps), session, steps, into)

    return run


def recorded(training: Training, trained: Iterator[int], session: object, steps: int, into: list[Block]) -> None:
    """One block of so many steps that records five floats each, and a flush."""
    a, b, c, d, e = NAMES
    with timed(steps, into):
        for _ in itertools.islice(trained, steps):
            v, w, x, y, z = training.step()
            emit(a, v)
            emit(b, w)
            emit(c, x)
            emit(d, y)
            emit(e, z)
        session.recorder.flush()  # type: ignore[attr-defined]


def _loop(training: Training, steps: int, record: Callable[[int, tuple[float, ...]], None]) -> Way:
    count = 0

    def run(into: list[Block]) -> None:
        nonlocal count
        with timed(steps, into):
            for _ in range(steps):
                values = training.step()
                record(count, values)
                count += 1

    return run


@contextmanager
def _tensorboard(folder: str) -> Iterator[Callable[[int, tuple[float, ...]], None]]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(f"{folder}/tensorboard") as writer:

        def record(step: int, values: tuple[float, ...]) -> None:
            for name, value in zip(NAMES, values, strict=True):
                writer.add_scalar(name, value, step)

        yield record


@contextmanager
def _mlflow(folder: str) -> Iterator[tuple[Callable[[int, tuple[float, ...]], None], ...]]:
    import mlflow
    from mlflow.entities import Metric

    mlflow.set_tracking_uri(f"sqlite:///{folder}/beside.db")
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:

        def metric(step: int, values: tuple[float, ...]) -> None:
            for name, value in zip(NAMES, values, strict=True):
                mlflow.log_metric(name, value, step=step)

        def together(step: int, values: tuple[float, ...]) -> None:
            now = int(time.time() * 1000)
            client.log_batch(
                run.info.run_id,
                metrics=[Metric(f"b/{n}", v, now, step) for n, v in zip(NAMES, values, strict=True)],
            )

        yield metric, together
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # set by mlflow for child processes: the mirror has its own


def _mirrored(training: Training, steps: int, rounds: int) -> tuple[dict[str, list[Block]], str]:
    """Bare blocks with the mirror's process halted, recorded ones with it at work; a note if it did not come up."""
    planned = (rounds + 1) * steps + _FIRST  # honest: what the mirror sends depends on it
    with workbench.session(experiment="bench/mirrored", mlflow=True) as session:
        store, trained = session.rundir.path.parent, session.steps(planned)
        for _ in range(_FIRST // 10):  # until it is at work
            recorded(training, trained, session, 10, [])
            if (said := status(store)).sent:
                break
            time.sleep(0.3)
        else:
            return {}, f"The mirror sent nothing of the first {_FIRST:,} steps: {said}"
        mirror = status(store).pid
        if mirror is None:
            return {}, "The mirror's process was not found."

        def bare(into: list[Block]) -> None:
            os.kill(mirror, signal.SIGSTOP)
            try:
                _bare(training, steps)(into)
            finally:
                os.kill(mirror, signal.SIGCONT)

        def mirror_at_work(into: list[Block]) -> None:
            recorded(training, trained, session, steps, into)

        try:
            return interleave({"bare": bare, "mirror": mirror_at_work}, rounds), ""
        finally:
            os.kill(mirror, signal.SIGTERM)
