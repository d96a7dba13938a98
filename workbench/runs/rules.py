"""The rules of a run's configuration, checked before the run is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.cards import Card, Control
from workbench.cards import rules as vocabulary
from workbench.cards.controls import flat


def check_rules(
    card: Card, tree: Mapping[str, Any], beside: Mapping[str, Control] | None = None
) -> list[dict[str, Any]]:
    """What ``rules`` of a configuration should read: full names, checked values, plain data.

    `tree` is the resolved configuration with ``rules`` as given; `beside` are controls that stand beside the method's
    own (those of the run). Raises as `workbench.cards.rules.check_rules`; nothing is looked up when there are no rules.
    """
    declared = vocabulary.parse(tree.get("rules") or ())
    if not declared:
        return []
    from workbench.detectors import generic, load

    probes = {
        f"probes.{p.name}": Control(f"probes.{p.name}", "int", p.every, min=0, max=10**9, unit="steps")
        for p in card.probes
    }
    checked = vocabulary.check_rules(
        declared,
        {**card.controls, **probes, **(beside or {})},
        findings={*generic(), *(detector.id for detector in load(card))},
        signals={signal.name: signal.shape for signal in card.signals},
        values=flat(tree),
    )
    return [rule.plain() for rule in checked]
