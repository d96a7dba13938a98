"""Colours: the design tokens, and which run of a panel gets which colour."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from workbench.cards import Card
from workbench.runs import Run

#: Tokens of the parts of a stacked area and of nameless bars, bottom first.
PARTS = ("green", "amber", "grey", "purple", "sky", "blue", "verm", "olive")
_ROLES = {"remedy": 0, "phenomenon": 1}


@functools.cache
def tokens() -> Mapping[str, Any]:
    """The design tokens: ``{"light": {name: colour}, "dark": {…}, "runs": [names of their colours], …}``."""
    return json.loads(files(__package__).joinpath("tokens.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def run_colors(card: Card, runs: Sequence[Run]) -> dict[str, int]:
    """Run id → index into the palette of runs.

    A remedy has the first colour and a phenomenon the second, in every experiment; ablations and competitors follow in
    the card's order. Runs that would share a colour (two seeds of an arm, two phenomena) take the next free one; forks
    and replays choose last, so that they take no colour from what was there before them.
    """
    others = [arm.name for arm in card.arms if arm.role not in _ROLES]
    wish = {arm.name: _ROLES.get(arm.role, len(_ROLES)) for arm in card.arms}
    wish |= {name: len(_ROLES) + i for i, name in enumerate(others)}
    if not any(arm.role == "remedy" for arm in card.arms):
        wish = {arm.name: i for i, arm in enumerate(card.arms)}
    taken: set[int] = set()
    colors = {}
    for run in sorted(runs, key=lambda r: bool(r.kind)):
        color = wish.get(run.arm, 0)
        while color in taken:
            color += 1
        taken.add(color)
        colors[run.id] = color
    return colors


def resolve(color: Mapping[str, int | str], theme: str) -> str:
    """The CSS colour of a series in the theme ``light`` or ``dark``."""
    names = tokens()["runs"]
    name = color["token"] if "token" in color else names[int(color["run"]) % len(names)]
    return str(tokens()[theme][name])
