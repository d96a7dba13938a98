"""The rules of a configuration, checked against the experiment's card; what the documentation shows is what works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from workbench.cards import InvalidValue, NotAllowed, UnknownName, card
from workbench.runs import compose, parse
from workbench.runs.rules import check_rules

IBP = card("certified/ibp")
DOCS = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


def checked(rules):
    tree = compose("certified/ibp", arm="vanilla", preset="tour")
    return check_rules(IBP, {**tree, "rules": rules})


def test_a_configuration_without_rules_has_none():
    assert checked([]) == []
    assert checked(None) == []


def test_the_command_line_writes_what_python_writes():
    text = "rules=[{when:{finding:exploded_bounds},then:{epsilon:0.05}},{ramp:{control:lr,to:1e-4,over:500,at:1000}}]"
    assert checked(parse([text])["rules"]) == [
        {"when": {"finding": "exploded_bounds"}, "then": {"epsilon": 0.05}, "every": 10},
        {"ramp": {"control": "optimizer.lr", "to": 1e-4, "over": 500, "at": 1000}},
    ]


def test_a_probe_can_be_switched_on():
    name = f"probes.{IBP.probes[0].name}"
    rules = [{"when": {"finding": "spike"}, "then": {name: 20}}]
    assert checked(rules)[0]["then"] == {name: 20}


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ({"when": {"finding": "exploded_bound"}, "then": {"epsilon": 0}}, UnknownName, "'exploded_bounds'"),
        ({"when": {"signal": "robust_los", "above": 3}, "then": {"epsilon": 0}}, UnknownName, "'robust_loss'"),
        ({"when": {"step": 3}, "then": {"epsilon": 8}}, InvalidValue, "8/255 is written 0.0314"),
        ({"when": {"step": 3}, "then": {"steps": 8}}, NotAllowed, "steps is decided at launch"),
        ({"ramp": {"control": "ramp_epochs", "to": 8, "over": 4}}, NotAllowed, "moves with the next epoch"),
    ],
)
def test_what_the_experiment_does_not_have_is_refused(rule, error, words):
    with pytest.raises(error, match=words):
        checked([rule])


def test_the_documented_ways_to_write_rules_are_the_same():
    [python], [text], [console] = blocks("python")[:1], blocks("yaml"), blocks("console")[:1]
    names: dict[str, object] = {}
    exec(python, names)
    in_python = checked(names["rules"])
    assert in_python == checked(yaml.safe_load(text)["rules"])
    overrides = re.findall(r'"(rules=.*?)"', console, re.DOTALL)
    assert in_python[:2] == checked(parse([" ".join(overrides[0].split())])["rules"])
