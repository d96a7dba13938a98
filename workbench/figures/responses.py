"""What a language model answered at one step, graded by reward, with the way to the steps before and after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workbench.figures.ancestry import text_at, texts_about
from workbench.figures.chartdata import Response, ResponsesData
from workbench.figures.charts import Request, builds, waiting

_GOOD, _BAD = 2 / 3, 1 / 3  # of the way from the lowest to the highest reward


@builds("responses")
def responses(request: Request, common: dict[str, Any]) -> ResponsesData:
    """The responses of the step asked for (`range`), else of the time slider's, else the newest."""
    name = request.view.lines()[0].signal
    held = request.range is not None
    at = int(request.range[0]) if request.range is not None else request.at
    for run in request.runs[:1]:
        found = text_at(run, name, at)
        if found is None:
            continue
        step, (sampled, marks) = found[0], parsed(found[1])
        earlier, later = texts_about(run, name, step)
        newest = text_at(run, name, None)
        return ResponsesData(
            **{**common, "step": step, "run": run.id},
            responses=graded(sampled, common["ydomain"]), marks=marks, held=held, earlier=earlier, later=later,
            newest=None if newest is None else newest[0],
        )  # fmt: skip
    return ResponsesData(**{**common, "empty": common["empty"] or waiting(request, [name])}, held=held)


def parsed(text: str) -> tuple[list[Response], tuple[str, ...]]:
    """Responses and marks from what `workbench.signals.responses` made; of any other text each line is a response."""
    data = read(text)
    if data is None:
        return [Response("", line) for line in text.splitlines()], ()
    return [Response(**one) for one in data["responses"]], tuple(data["marks"])


def graded(sampled: Sequence[Response], ends: tuple[float, float] | None) -> tuple[Response, ...]:
    """Each with its grade, by thirds between `ends`; None: between 0 and 1, or as far as these rewards reach."""
    rewards = [one.reward for one in sampled if one.reward is not None]
    low, high = ends or (min(0.0, *rewards, 0.0), max(1.0, *rewards, 1.0))

    def grade(reward: float | None) -> str:
        if reward is None or high <= low:
            return ""
        share = (reward - low) / (high - low)
        return "good" if share >= _GOOD else "bad" if share <= _BAD else "fair"

    return tuple(replace(one, grade=grade(one.reward)) for one in sampled)


def read(text: str) -> dict[str, Any] | None:
    """What `workbench.signals.responses` made, as plain data; None: a text of another kind."""
    if not text.startswith('{"responses":'):
        return None
    try:
        data = json.loads(text)
        known = all(set(one) <= {"prompt", "text", "reward", "note"} and "text" in one for one in data["responses"])
    except (ValueError, TypeError, KeyError):
        return None
    return {"responses": data["responses"], "marks": data.get("marks", [])} if known else None
