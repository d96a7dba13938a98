"""Blocks of several ways to do a thing, interleaved, so that what the machine does meanwhile meets them all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Block:
    """What one block took a step, in seconds: by the wall, on its own thread's CPU, on all of the process's."""

    wall: float
    cpu: float
    process: float


class Stopwatch:
    """Times what happens between `start` and `stop`."""

    def start(self) -> None:
        """Begin."""
        self._begun = time.perf_counter(), time.thread_time(), time.process_time()

    def stop(self, steps: int) -> Block:
        """End; `steps` were done."""
        ended = time.perf_counter(), time.thread_time(), time.process_time()
        return Block(*((e - b) / steps for b, e in zip(self._begun, ended, strict=True)))


@contextmanager
def timed(steps: int, into: list[Block], then: Callable[[], object] | None = None) -> Iterator[None]:
    """Append a `Block` of so many steps; what `then` does counts for the CPU time of the process alone."""
    gc.collect()
    watch = Stopwatch()
    watch.start()
    yield
    block = watch.stop(steps)
    if then is not None:
        then()
        block.process = watch.stop(steps).process
    into.append(block)


Way = Callable[[list[Block]], None]


def interleave(ways: dict[str, Way], rounds: int) -> dict[str, list[Block]]:
    """Each way once a round, in an order that turns; the first round warms up and is thrown away."""
    found: dict[str, list[Block]] = {name: [] for name in ways}
    names = list(ways)
    for i in range(rounds + 1):
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            ways[name](found[name])
    return {name: blocks[1:] for name, blocks in found.items()}


def ratios(found: dict[str, list[Block]], name: str, base: str, clock: str = "wall") -> list[float]:
    """Round by round, what `name` took of what `base` took."""
    return [getattr(a, clock) / getattr(b, clock) for a, b in zip(found[name], found[base], strict=True)]


def added(found: dict[str, list[Block]], name: str, base: str, clock: str = "cpu") -> list[float]:
    """Round by round, the microseconds a step that `name` took more than `base`."""
    return [1e6 * (getattr(a, clock) - getattr(b, clock)) for a, b in zip(found[name], found[base], strict=True)]
