"""The `spec` message: everything a panel shows that follows from the card alone."""

from __future__ import annotations

from typing import Any

from workbench.cards import Card, Control, View
from workbench.figures.charts import SINGLE

PROTOCOL = 1


def spec(card: Card, store: str) -> dict[str, Any]:
    """The card as plain data for the panel app; `store` is the name of the store shown to the user."""
    paper = card.paper
    return {
        "type": "spec",
        "protocol": PROTOCOL,
        "experiment": {
            "id": card.id, "title": card.title, "subtitle": card.subtitle or card.phenomenon,
            "phenomenon": card.phenomenon, "remedy": card.remedy,
            "paper": {"title": paper.title, "venue": paper.venue, "year": paper.year, "url": paper.url},
            "reconstruction": card.reconstruction, "notes": list(card.notes),
        },
        "controls": [control_head(c) for c in card.controls.values()],
        "arms": [
            {"name": a.name, "label": a.label, "role": a.role, "help": a.help, "overrides": dict(a.overrides)}
            for a in card.arms
        ],
        "presets": [
            {
                "name": p.name, "help": p.help, "arms": list(p.arms), "overrides": dict(p.overrides),
                "steps": p.overrides.get("steps", card.controls["steps"].default),
            }
            for p in card.presets
        ],
        "defaults": defaults(card),
        "actions": [{"name": a.name, "label": a.label, "help": a.help} for a in card.actions],
        "probes": [{"name": p.name, "label": p.label, "help": p.help} for p in card.probes],
        "charts": [_chart(v) for v in card.views],
        "store": store,
    }  # fmt: skip


def control_head(control: Control) -> dict[str, Any]:
    """One control as plain data."""
    return {
        "name": control.name, "label": control.label, "kind": control.kind, "default": control.default,
        "min": control.min, "max": control.max, "exclusive_min": control.exclusive_min, "scale": control.scale,
        "unit": control.unit, "step": control.step, "when": control.when, "stage": control.stage,
        "when_text": control.when_text(), "choices": list(control.choices), "help": control.help,
        "group": control.group or "Settings", "fork": control.fork,
    }  # fmt: skip


def defaults(card: Card) -> dict[str, Any]:
    """What Start starts if nothing is chosen: the tour's arms, else the phenomenon beside the remedy."""
    preset = next((p for p in card.presets if p.name == "tour"), card.presets[0] if card.presets else None)
    arms = list(preset.arms) if preset else []
    if not arms:
        pair = [next((a.name for a in card.arms if a.role == role), None) for role in ("phenomenon", "remedy")]
        arms = [name for name in pair if name] or [a.name for a in card.arms[:1]]
    return {"preset": preset.name if preset else "", "arms": arms, "seed": 0}


def _chart(view: View) -> dict[str, Any]:
    return {
        "id": view.id, "title": view.title, "subtitle": view.subtitle, "kind": view.kind, "unit": view.unit,
        "scale": view.scale, "group": view.group, "tab": view.tab, "per_run": view.per_run or view.kind in SINGLE,
    }  # fmt: skip
