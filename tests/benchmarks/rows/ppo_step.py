"""What watching costs a whole step of reinforcement/bai: signals, the response stream and the session against none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

import workbench
from tests.benchmarks.blocks import Block, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from workbench.cards import card
from workbench.steering.randomness import Streams

NUMBER = 22
WARM = 2


class Bare:
    """What a method asks of a session, without one: random streams, and nothing is kept."""

    def __init__(self, config: Any) -> None:
        self.config, self.seed, self.step = config, 0, 0
        self._streams = Streams(0)

    def rng(self, name: str, *keys: int | str) -> Any:
        """As of a session."""
        return self._streams.numpy(name, *keys)

    def torch_rng(self, name: str, *keys: int | str, device: str = "cpu") -> Any:
        """As of a session."""
        return self._streams.torch(name, *keys, device=device)

    def isolated(self, *modules: Any) -> contextlib.AbstractContextManager[None]:
        """Nothing to protect here."""
        return contextlib.nullcontext()

    def register(self, **objects: Any) -> None:
        """Nothing is kept."""

    def stage(self, name: str, index: int) -> None:
        """Nothing waits for one."""

    def action(self, name: str, run: Callable[[], None]) -> None:
        """There are no buttons."""

    def probe(self, name: str, run: Callable[[], None]) -> None:
        """Nobody asks."""

    def steps(self, total: int) -> Iterator[int]:
        """One after another."""
        yield from range(total)


def measure(quick: bool) -> Row:
    """The same steps of the same policy under a session and without one, interleaved."""
    torch.set_num_threads(1)
    from workbench.methods.reinforcement.bai.module import Experiment

    steps, rounds = (2, 2) if quick else (8, 10)

    def go(session: Any, config: Any, into: list[Block]) -> None:
        experiment, each = Experiment(config, session), iter(session.steps(config.steps))
        for _ in range(WARM):
            experiment.step(next(each))
        with timed(steps, into):
            for _ in range(steps):
                experiment.step(next(each))

    def config() -> Any:
        made = card("reinforcement/bai").config()
        made.init, made.steps = "distilled", WARM + steps + 1
        return made

    def watched(into: list[Block]) -> None:
        made = config()
        with workbench.session(made, experiment="bench/bai", mlflow=False) as session:
            go(session, made, into)

    def alone(into: list[Block]) -> None:
        made = config()
        go(Bare(made), made, into)

    found = interleave({"watched": watched, "alone": alone}, rounds)
    return Row(
        "Reinforcement learning: a whole PPO step under a session against the same step without one",
        f"{rounds} interleaved blocks of {steps} steps of 128 rollouts from the distilled model, regime L, one thread; "
        "all signals and the stream of responses, probes off; journal and checkpoints as by default.",
        [of("whole step, wall", ratios(found, "watched", "alone"), "×", most=1.05)],
        [
            of("one step without a session", [1e3 * b.wall for b in found["alone"]], "ms"),
            of("whole step, CPU of the training thread", ratios(found, "watched", "alone", "cpu"), "×"),
        ],
    )
