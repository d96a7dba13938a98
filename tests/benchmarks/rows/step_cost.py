"""What recording costs a training thread that does nothing else."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import torch

import workbench
from tests.benchmarks.blocks import Block, Way, added, interleave, timed
from tests.benchmarks.figures import Row, of
from workbench.signals import emit

NUMBER = 1
NAMES = ("loss", "accuracy", "grad_norm", "lr", "margin")


def measure(quick: bool) -> Row:
    """Added thread CPU a step: nothing, five floats, five CPU tensors of no dimensions."""
    steps, rounds = (2_000, 5) if quick else (20_000, 20)
    chance = random.Random(0)
    floats = [[chance.random() for _ in NAMES] for _ in range(1_000)]
    tensors = [[torch.tensor(v) for v in row] for row in floats]
    with workbench.session(experiment="bench/step_cost", mlflow=False) as session:
        trained = session.steps(10**9)

        def recording(rows: list[list[Any]], prefix: str, put: Callable[[str, Any], None]) -> Way:
            names = [f"{prefix}{n}" for n in NAMES]

            def run(into: list[Block]) -> None:
                a, b, c, d, e = names
                with timed(steps, into, then=session.recorder.flush):
                    stepping = itertools.islice(trained, steps)
                    for _, (v, w, x, y, z) in zip(stepping, itertools.cycle(rows), strict=False):
                        put(a, v)
                        put(b, w)
                        put(c, x)
                        put(d, y)
                        put(e, z)

            return run

        def bare(into: list[Block]) -> None:
            with timed(steps, into):
                for _, (_v, _w, _x, _y, _z) in zip(range(steps), itertools.cycle(floats), strict=False):
                    pass

        def only_steps(into: list[Block]) -> None:
            with timed(steps, into):
                for _, (_v, _w, _x, _y, _z) in zip(
                    itertools.islice(trained, steps), itertools.cycle(floats), strict=False
                ):
                    pass

        found = interleave(
            {
                "bare": bare,
                "steps": only_steps,
                "floats": recording(floats, "f/", emit),
                "tensors": recording(tensors, "t/", emit),
            },
            rounds,
        )
    return Row(
        "CPU time added to a step of a loop that does nothing",
        f"{rounds} interleaved blocks of {steps:,} steps; CPU time of the training thread. For the whole process each "
        "block is followed by a flush of all that it recorded. All generic detectors are on.",
        [
            of("5 floats recorded a step", added(found, "floats", "bare"), "µs", most=20),
            of("5 tensor scalars recorded a step", added(found, "tensors", "bare"), "µs", most=40),
        ],
        [
            of("session and steps() alone", added(found, "steps", "bare"), "µs"),
            of("5 floats, CPU of the whole process, writing included", added(found, "floats", "bare", "process"), "µs"),
            of("5 tensors, CPU of the whole process", added(found, "tensors", "bare", "process"), "µs"),
        ],
    )
