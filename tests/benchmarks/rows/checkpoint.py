"""How long training stands still for a checkpoint, and how fast it goes on while one is written."""

from __future__ import annotations

import copy
import io
import itertools
import time
from collections.abc import Iterator
from typing import Any

import torch

import workbench
from tests.benchmarks.blocks import Block, Stopwatch, interleave, ratios, timed
from tests.benchmarks.figures import Row, Value, of
from tests.benchmarks.training import Training, millisecond

NUMBER = 9
_WIDTH = 1_000  # of a layer: a million weights and some


def measure(quick: bool) -> Row:
    """The session's checkpoint against a copy into kept tensors; then another loop beside the writing."""
    layers, rounds = (5, 3) if quick else (50, 15)
    batch, _ = millisecond()
    training = Training(batch)
    model = torch.nn.Sequential(*[torch.nn.Linear(_WIDTH, _WIDTH) for _ in range(layers)])
    values = sum(p.numel() for p in model.parameters())
    writes: list[float] = []
    with workbench.session(experiment="bench/checkpoint", mlflow=False) as session:
        session.register(model=model)
        trained = session.steps(10**9)
        next(trained)  # looks at the state once, which makes the buffers
        kept = [torch.empty_like(t).copy_(t) for t in model.state_dict().values()]

        def checkpoint(into: list[Block]) -> None:
            next(trained)
            with timed(1, into):
                session.checkpoint()
            began = time.perf_counter()
            session.keeper.wait()
            writes.append(time.perf_counter() - began)

        def memory(into: list[Block]) -> None:
            with timed(1, into):
                for mine, theirs in zip(kept, model.state_dict().values(), strict=True):
                    mine.copy_(theirs)

        def fresh(into: list[Block]) -> None:
            with timed(1, into):
                copied = copy.deepcopy(model.state_dict())
            del copied

        def saved(into: list[Block]) -> None:
            with timed(1, into):
                torch.save(model.state_dict(), io.BytesIO())

        found = interleave({"checkpoint": checkpoint, "memory": memory, "fresh": fresh, "saved": saved}, rounds)
        beside = _beside(training, session, trained, rounds)
        session.keeper.wait()
        size = workbench.run().checkpoints[-1].size
    return Row(
        f"Training stands still for a checkpoint of {values:,} float parameters",
        f"{rounds} interleaved rounds of one checkpoint and of copies of the same state; a plain model, its buffers "
        "warm (the session makes them before the first step); wall time of the training thread. Beside the writing: "
        "blocks of a loop of about 1 ms a step, as many steps as fit into one write, against blocks of the same loop "
        "with nothing being written.",
        [of("the pause, of a copy in memory into kept tensors", ratios(found, "checkpoint", "memory"), "×", most=1.5)],
        [
            of("the pause", [1e3 * b.wall for b in found["checkpoint"]], "ms"),
            of("the copy in memory", [1e3 * b.wall for b in found["memory"]], "ms"),
            of("copy.deepcopy(model.state_dict()), of the copy", ratios(found, "fresh", "memory"), "×"),
            of("torch.save into memory, on the training thread, of the copy", ratios(found, "saved", "memory"), "×"),
            of("a step while a checkpoint is written, of one while none is, wall", ratios(beside, "beside", "alone"),
               "×"),
            of("the same, CPU of the training thread", ratios(beside, "beside", "alone", "cpu"), "×"),
            of("until it is on disk, with its SHA-256, and recorded", writes, "s"),
            Value("size of the file", size / 1e6, "MB"),
        ],
    )  # fmt: skip


def _beside(training: Training, session: Any, trained: Iterator[int], rounds: int) -> dict[str, list[Block]]:
    def alone(into: list[Block]) -> None:
        with timed(300, into):
            for _ in itertools.islice(trained, 300):
                training.step()

    def beside(into: list[Block]) -> None:
        next(trained)
        session.checkpoint()
        watch, taken = Stopwatch(), 0
        watch.start()
        while not session.keeper.idle:
            next(trained)
            training.step()
            taken += 1
        into.append(watch.stop(taken))

    return interleave({"alone": alone, "beside": beside}, rounds)
