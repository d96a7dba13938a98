"""From `run.fork(…)` to the first step of the child."""

from __future__ import annotations

import time
from contextlib import suppress

from tests.benchmarks.browser import end_spares, spares, until
from tests.benchmarks.figures import Row, of
from workbench.cards import WorkbenchError
from workbench.runs import Run, Store, launch
from workbench.runs.spare import warm

NUMBER = 10
EXPERIMENT = "certified/ibp"
_EVERY = 25  # steps between the parent's checkpoints
_PARENT = 60  # steps it trains


def measure(quick: bool) -> Row:
    """Forks right at a checkpoint and just before the next, each after a run that starts afresh, all of them warm."""
    rounds = 1 if quick else 7
    try:
        parent = _start(_PARENT)[0]
        far = 2 * _EVERY - 1  # the newest checkpoint lies at _EVERY
        starts: list[float] = []
        found: dict[int, list[float]] = {_EVERY: [], far: []}
        again: list[float] = []  # what the steps between took in a run that trained them for the first time
        for _ in range(rounds):
            run, took = _start(far + 1)
            starts.append(took)
            times = run["loss"].times
            again.append(float(times[far] - times[_EVERY]))
            for at, took_each in found.items():
                took_each.append(_fork(parent, at))
    finally:
        end_spares()
    replayed = far - _EVERY
    expected = [start + steps for start, steps in zip(starts, again, strict=True)]
    return Row(
        f"From run.fork(…) to the first step of the child: {EXPERIMENT}, preset tour",
        f"{rounds} rounds of a warm start and two forks, by turns; each has a spare worker that waits. Timed until the "
        f"first step of its own is recorded. The parent has a checkpoint every {_EVERY} steps: one fork is made at a "
        f"checkpoint, one {replayed} steps after it. What that one is held against is the warm start of the same round "
        "and the time that its run took for those steps.",
        [
            of(f"a fork that replays {replayed} steps, of a warm start and those steps",
               [a / b for a, b in zip(found[far], expected, strict=True)], "×"),
            of("a fork at a checkpoint, of a warm start",
               [a / b for a, b in zip(found[_EVERY], starts, strict=True)], "×"),
        ],
        [
            of(f"a fork that replays {replayed} steps", found[far], "s"),
            of("a fork at a checkpoint", found[_EVERY], "s"),
            of("a warm start", starts, "s"),
            of(f"{replayed} steps of the run that was started", again, "s"),
        ],
    )  # fmt: skip


def _start(steps: int) -> tuple[Run, float]:
    """A run that trains so many steps and is stopped; seconds until its first was recorded."""
    _ready()
    began = time.perf_counter()
    run = launch(
        EXPERIMENT, arm="fast", preset="tour", overrides={"run.checkpoint_every": _EVERY, "tracking.mlflow": False}
    )
    _recorded(run, 0)
    took = time.perf_counter() - began
    until(lambda: run.step >= steps, 300, f"step {steps}")
    return _stopped(run), took


def _fork(parent: Run, step: int) -> float:
    _ready()
    began = time.perf_counter()
    child = parent.fork(step)
    _recorded(child, step)
    took = time.perf_counter() - began
    _stopped(child)
    return took


def _ready() -> None:
    warm()
    until(spares, 120, "a spare worker")
    time.sleep(1.0)


def _recorded(run: Run, step: int) -> None:
    while run.step < step:
        if run.ended:
            raise RuntimeError(f"{run.id} {run.state}: {run.message}")
        time.sleep(0.001)


def _stopped(run: Run) -> Run:
    with suppress(WorkbenchError):
        run.stop()
    run.wait(120)
    return Store.find().run(run.id)
