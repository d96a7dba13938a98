"""Workers that kill themselves at the worst moments: a test's own changes to its own process, made by the nursery."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.journal import Writer
from workbench.steering import worker
from workbench.steering.session import Session

VARIABLE = "WORKBENCH_FAULTS_DEADLY"  # "<moment> <n>": die at the n-th such moment
MOMENTS = {
    "before": "a command is recorded as applied, its effect has not begun",
    "after": "its effect is done, its step is not trained",
    "flush": "metrics are written, their transaction is not committed",
    "file": "a checkpoint's file is written under another name",
    "row": "a checkpoint's file is in its place, the journal does not know it",
}


def arm(order: str) -> None:
    """Prepare this process for its end."""
    moment, number = order.split()
    left = int(number)

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    match moment:
        case "before" | "after":

            class Deadly(Session):
                def _effect(self, record: Any) -> None:
                    if moment == "before":
                        die()
                    super()._effect(record)
                    if moment == "after":
                        die()

            worker.Session = Deadly  # type: ignore[misc]
        case "flush":
            Writer._write = _then(Writer._write, die)  # type: ignore[method-assign]
        case "file":
            Path.replace = _first(Path.replace, die, lambda _, to: Path(to).suffix == ".pt")  # type: ignore[method-assign]
        case "row":
            Writer.checkpoint = _first(Writer.checkpoint, die, lambda *_: True)  # type: ignore[method-assign]


def _then(call: Callable[..., Any], die: Callable[[], None]) -> Callable[..., Any]:
    def both(*args: Any, **named: Any) -> Any:
        found = call(*args, **named)
        die()
        return found

    return both


def _first(call: Callable[..., Any], die: Callable[[], None], if_: Callable[..., bool]) -> Callable[..., Any]:
    def both(*args: Any, **named: Any) -> Any:
        if if_(*args):
            die()
        return call(*args, **named)

    return both
