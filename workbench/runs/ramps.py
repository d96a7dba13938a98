"""A ramp of a run that exists already: changes, each with its step, put into its inbox."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.cards import NotAllowed
from workbench.cards import rules as vocabulary
from workbench.journal import Command

if TYPE_CHECKING:
    from workbench.runs.run import Run

_RECENT = 200  # steps over which the rate is taken
_AHEAD_S = 1.25  # a second, and a flush of what the worker has done since


def ramp(
    run: Run, name: str, to: float, over: int, at: int | None = None, points: int = vocabulary.POINTS
) -> list[Command]:
    """Move a control of a run to `to` over `over` steps, from where it stands now; returns the commands.

    One change a step, or `points` spread evenly; straight, or in equal ratios for a control with a logarithmic slider.
    It begins at `at`, or a second from now. A `set` between two changes holds until the next one.

    Raises:
        UnknownName, InvalidValue: a wrong name, target or length; nothing is sent.
        NotAllowed: the run has ended, will before the ramp does, or has passed step `at`; or a control without ramps.
    """
    if run.ended:
        raise NotAllowed(f"The run {run.id} is {run.state}, so it takes no commands; start a new run to go on.")
    asked = vocabulary.ramp(name, to, over, at)
    points = vocabulary.whole("points", points, 1)
    controls, values = run.controls, run.values()
    asked = vocabulary.check_ramp(asked, controls, values, where=run.id)
    step = run.step
    total = run.steps if run.card or step >= 0 else None  # a loop of one's own says its length when it starts
    start = asked.at if asked.at is not None else step + _soon(run)
    if start < step:
        raise NotAllowed(f"{run.id} has passed step {start:,}; it stands at {step:,}.")
    if total is not None and start + asked.over >= total:
        raise NotAllowed(
            f"A ramp of {asked.over:,} steps from step {start:,} would not end within the {total:,} steps of {run.id}; "
            f"choose fewer."
        )
    course = vocabulary.course(controls[asked.control], values[asked.control], asked.to, asked.over, points)
    return [run.set({asked.control: v}, at_step=start + after, source="ramp") for after, v in course.items()]


def _soon(run: Run) -> int:
    """Steps until one that the worker cannot have passed when the commands arrive."""
    if run.state != "running" or run.step < 0:
        return 1
    reader = run.reader
    name = max(
        (n for n, kind in reader.names().items() if kind == "scalar"),
        key=lambda n: (reader.extent(n) or (0, -1, 0))[1],
        default=None,
    )
    if name is None:
        return 1
    points = reader.scalars(name, run.step - _RECENT)
    span = float(points.times[-1] - points.times[0]) if len(points) else 0.0
    rate = float(points.steps[-1] - points.steps[0]) / span if span > 0 else 0.0
    return max(1, math.ceil(rate * _AHEAD_S)) + 1
