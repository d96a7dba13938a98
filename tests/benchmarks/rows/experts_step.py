"""What watching costs a step of experts/global_lbl: every array at every step, against showing nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import workbench
from tests.benchmarks.blocks import Block, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from tests.benchmarks.rows.ppo_step import Bare
from workbench.cards import card

NUMBER = 24
WARM = 3


class Counting(Bare):
    """No session, but the step is known, and so is that there is no guard."""

    def steps(self, total: int) -> Iterator[int]:
        """One after another."""
        for self.step in range(total):
            yield self.step

    def guard(self) -> Counting:
        """One that is off."""
        return self

    def batch(self, fresh: Any) -> Any:
        """That one."""
        return fresh

    def passes(self, loss: Any) -> bool:
        """Always."""
        return True


def measure(quick: bool) -> Row:
    """The same steps of the same model: shown and recorded, shown to nobody, not even looked at; interleaved."""
    torch.set_num_threads(1)
    from workbench.methods.experts.global_lbl.module import Experiment

    class Silent(Experiment):
        """The model trains, and its routing is not looked at."""

        def show(self, *_: Any) -> None:
            """Nothing."""

    steps, rounds = (3, 2) if quick else (20, 10)

    def go(kind: type[Experiment], session: Any, config: Any, into: list[Block]) -> None:
        experiment, each = kind(config, session), iter(session.steps(config.steps))
        for _ in range(WARM):
            next(each)
            experiment.step()
        with timed(steps, into):
            for _ in range(steps):
                next(each)
                experiment.step()

    def config() -> Any:
        made = card("experts/global_lbl").config()
        made.steps = made.eval_every = WARM + steps + 1
        return made

    def watched(into: list[Block]) -> None:
        made = config()
        with workbench.session(made, experiment="bench/experts", mlflow=False) as session:
            go(Experiment, session, made, into)

    def alone(kind: type[Experiment], into: list[Block]) -> None:
        made = config()
        go(kind, Counting(made), made, into)

    ways = {
        "watched": watched, "shown": lambda into: alone(Experiment, into), "silent": lambda into: alone(Silent, into),
    }  # fmt: skip
    found = interleave(ways, rounds)
    return Row(
        "Mixture of experts: a whole training step with every array at every step, against showing nothing",
        f"{rounds} interleaved blocks of {steps} steps of 2,048 bytes, three layers of eight experts, one thread; "
        "with loads, loads by domain, co-activation and the rest at each step, journal and checkpoints as by default; "
        "looks at validation text are outside the blocks.",
        [of("whole step, wall", ratios(found, "watched", "silent"), "×", most=1.05)],
        [
            of("one step that shows nothing", [1e3 * b.wall for b in found["silent"]], "ms"),
            of("whole step, CPU of the training thread", ratios(found, "watched", "silent", "cpu"), "×"),
            of("recording alone, wall", ratios(found, "watched", "shown"), "×"),
        ],
    )
