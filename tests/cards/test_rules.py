"""Rules and ramps as declarations: the three ways to write them agree, and every mistake is one clear sentence."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards import Adam, Config, InvalidValue, NotAllowed, UnknownName, WorkbenchError, control, controls_of
from workbench.cards.rules import POINTS, Ramp, check_rules, course, parse, ramp, set, when


@dataclass
class Example(Config):
    epsilon: float = control(0.1, min=0, max=0.5, unit="pixel")
    count: int = control(3, min=1, max=9)
    freeze: bool = control(False)
    width: int = control(8, min=1, max=64, when="launch")
    batch_size: int = control(8, min=1, max=64, when="stage", stage="epoch")
    clip: float = control(0.0, min=0, max=10, scale="log")
    ramp: int = control(5, min=1, max=50)
    optimizer: Adam = field(default_factory=lambda: Adam(lr=1e-3))


CONTROLS = controls_of(Example)
FINDINGS = ["exploded_bounds", "spike"]
SIGNALS = {"loss": "scalar", "load": "vector", "margins": "histogram"}


def checked(*rules, values=None):
    return check_rules(list(rules), CONTROLS, findings=FINDINGS, signals=SIGNALS, values=values)


@pytest.mark.parametrize(
    ("made", "plain"),
    [
        (
            when(finding="spike", then=set(epsilon=0.05)),
            {"when": {"finding": "spike"}, "then": {"epsilon": 0.05}, "every": 10},
        ),
        (
            when(finding="spike", then=set(epsilon=0.05), once=False),
            {"when": {"finding": "spike"}, "then": {"epsilon": 0.05}, "every": 10, "once": False, "cooldown": 100},
        ),
        (
            when(signal="loss", above=3, for_steps=20, then=set({"optimizer.lr": 1e-4}, freeze=True)),
            {
                "when": {"signal": "loss", "above": 3.0, "for_steps": 20},
                "then": {"optimizer.lr": 1e-4, "freeze": True},
                "every": 1,
            },
        ),
        (
            when(step=500, then=ramp("optimizer.lr", to=1e-4, over=200)),
            {"when": {"step": 500}, "then": {"ramp": {"control": "optimizer.lr", "to": 1e-4, "over": 200}}},
        ),
        (
            ramp("epsilon", to=0.5, over=10, at=7),
            {"ramp": {"control": "epsilon", "to": 0.5, "over": 10, "at": 7}},
        ),
    ],
)
def test_a_rule_is_plain_data_and_comes_back_from_it(made, plain):
    assert made.plain() == plain
    assert parse(json.loads(json.dumps([plain]))) == [made]


def test_names_are_completed_and_values_get_their_controls_types():
    rules = checked(
        {"when": {"step": 5}, "then": {"lr": "1e-4", "count": 4.0, "freeze": "on"}},
        {"when": {"step": 6}, "then": {"optimizer": {"lr": 1}}},
        {"when": {"step": 7}, "then": {"ramp": 5}},  # a control of that name
        {"ramp": {"control": "lr", "to": 1e-4, "over": 3}},
    )
    assert [dict(rule.then) for rule in rules[:3]] == [
        {"optimizer.lr": 1e-4, "count": 4, "freeze": True}, {"optimizer.lr": 1.0}, {"ramp": 5}
    ]  # fmt: skip
    assert rules[3] == Ramp("optimizer.lr", 1e-4, 3)


def test_a_single_rule_needs_no_list():
    assert parse(when(step=1, then=set(epsilon=0))) == parse([{"when": {"step": 1}, "then": {"epsilon": 0}}])


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ({"when": {"findng": "spike"}, "then": {"epsilon": 0}}, UnknownName, "'findng' in when of rule 2.*'finding'"),
        ({"when": {"finding": "spyke"}, "then": {"epsilon": 0}}, UnknownName, "finding 'spyke' in rule 2.*'spike'"),
        ({"when": {"signal": "los", "above": 1}, "then": {"epsilon": 0}}, UnknownName, "signal 'los'.*'loss'"),
        ({"when": {"step": 1}, "then": {"epsilonn": 0}}, UnknownName, "control 'epsilonn' in rule 2.*'epsilon'"),
        ({"ramp": {"control": "epsilonn", "to": 0, "over": 5}}, UnknownName, "control 'epsilonn' in rule 2"),
        ({"when": {"step": 1}, "then": {"epsilon": 0}, "evry": 2}, UnknownName, "'evry' in rule 2.*'every'"),
        ({"when": {"step": 1}, "then": {"epsilon": 8}}, InvalidValue, "In rule 2: epsilon must lie between 0 and 0.5"),
        ({"when": {"step": 1}, "then": {"lr": 0}}, InvalidValue, "optimizer.lr must lie above 0"),
        ({"when": {"step": 1}, "then": {"width": 9}}, NotAllowed, "width is decided at launch.*width=9"),
        ({"when": {"step": -1}, "then": {"epsilon": 0}}, InvalidValue, "step must be a whole number of at least 0"),
        ({"when": {"step": True}, "then": {"epsilon": 0}}, InvalidValue, "step must be a whole number"),
        ({"when": {"step": 1, "finding": "spike"}, "then": {"epsilon": 0}}, InvalidValue, "exactly one.*and step"),
        ({"when": {}, "then": {"epsilon": 0}}, InvalidValue, "exactly one.*has none"),
        ({"when": {"finding": 3}, "then": {"epsilon": 0}}, InvalidValue, "finding must be a name; got 3"),
        ({"when": {"signal": "loss"}, "then": {"epsilon": 0}}, InvalidValue, "either above or below"),
        ({"when": {"signal": "loss", "above": 1, "below": 2}, "then": {"epsilon": 0}}, InvalidValue, "either above or"),
        ({"when": {"signal": "loss", "above": math.nan}, "then": {"epsilon": 0}}, InvalidValue, "must be a finite"),
        ({"when": {"signal": "margins", "above": 1}, "then": {"epsilon": 0}}, InvalidValue, "margins is histogram"),
        ({"when": {"finding": "spike", "above": 1}, "then": {"epsilon": 0}}, InvalidValue, "go with a signal"),
        ({"when": {"finding": "spike", "every": 1}, "then": {"epsilon": 0}}, InvalidValue, "every stands beside"),
        ({"when": {"finding": "spike"}, "then": {"epsilon": 0}, "every": 0}, InvalidValue, "every must be a whole"),
        ({"when": {"finding": "spike"}, "then": {"epsilon": 0}, "once": 3}, InvalidValue, "once must be true or false"),
        ({"when": {"finding": "spike"}, "then": {"epsilon": 0}, "cooldown": 9}, InvalidValue, "goes with once=False"),
        ({"when": {"step": 1}, "then": {"epsilon": 0}, "once": False}, InvalidValue, "fires once"),
        ({"when": {"step": 1}, "then": {}}, InvalidValue, "then takes the values to set"),
        ({"when": {"step": 1}, "then": 0.1}, InvalidValue, "then takes the values to set"),
        ({"when": "spike", "then": {"epsilon": 0}}, InvalidValue, "In rule 2: it must read"),
        ("spike", InvalidValue, "In rule 2: it must read"),
        ({"ramp": {"control": "epsilon", "to": 0.3}}, InvalidValue, "it lacks over"),
        ({"ramp": 5}, InvalidValue, "a ramp must read"),
        ({"ramp": {"control": "epsilon", "to": 0.3, "over": 0}}, InvalidValue, "over must be a whole number"),
        ({"ramp": {"control": "epsilon", "to": "far", "over": 5}}, InvalidValue, "to must be a finite number"),
        ({"ramp": {"control": "epsilon", "to": 3, "over": 5}}, InvalidValue, "epsilon must lie between"),
        ({"ramp": {"control": "freeze", "to": 1, "over": 5}}, InvalidValue, "freeze is no number, so it has no ramp"),
        ({"ramp": {"control": "width", "to": 9, "over": 5}}, NotAllowed, "width is decided at launch"),
        ({"ramp": {"control": "batch_size", "to": 9, "over": 5}}, NotAllowed, "next epoch only"),
        ({"ramp": {"control": "lr", "to": 0, "over": 5}}, InvalidValue, "logarithmic scale.*cannot go to 0"),
        ({"ramp": {"control": "clip", "to": 1, "over": 5}}, InvalidValue, "logarithmic scale.*cannot go from 0"),
        (
            {"when": {"step": 1}, "then": {"ramp": {"control": "epsilon", "to": 0.3, "over": 5, "at": 9}}},
            InvalidValue,
            "the rule says when",
        ),
    ],
)  # fmt: skip
def test_every_mistake_is_one_sentence_that_names_the_rule(rule, error, words):
    with pytest.raises(error, match=words) as refusal:
        checked({"when": {"step": 1}, "then": {"epsilon": 0.2}}, rule, values={"clip": 0.0})
    assert "\n" not in str(refusal.value)
    assert "rule 2" in str(refusal.value)


@pytest.mark.parametrize("rules", [3, "spike"])
def test_rules_are_a_list(rules):
    with pytest.raises(InvalidValue, match="rules is a list"):
        parse(rules)


WORDS = ["when", "then", "ramp", "control", "to", "over", "finding", "signal", "above", "step", "epsilon", "once"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["loss", "spike", "epsilon", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_any_data_is_either_taken_and_stays_the_same_or_refused_in_words(data):
    try:
        rules = checked(data)
    except WorkbenchError:
        return
    assert check_rules([rule.plain() for rule in rules], CONTROLS) == rules


def test_a_ramp_is_straight_and_ends_exactly():
    moves = course(CONTROLS["epsilon"], 0.1, 0.3, 4)
    assert list(moves) == [1, 2, 3, 4]
    assert moves == pytest.approx({1: 0.15, 2: 0.2, 3: 0.25, 4: 0.3})
    assert moves[4] == 0.3


def test_a_ramp_of_a_logarithmic_control_runs_in_equal_ratios():
    moves = course(CONTROLS["optimizer.lr"], 1e-2, 1e-5, 3)
    assert list(moves.values()) == pytest.approx([1e-3, 1e-4, 1e-5])
    assert moves[3] == 1e-5


def test_a_long_ramp_has_a_hundred_changes_spread_evenly():
    moves = course(CONTROLS["epsilon"], 0.1, 0.3, 1050)
    gaps = {b - a for a, b in zip([0, *moves], moves, strict=False)}
    assert len(moves) == POINTS
    assert gaps == {10, 11}
    assert list(moves)[-1] == 1050


def test_whole_numbers_are_rounded_and_not_repeated():
    assert course(CONTROLS["count"], 3, 5, 8) == {2: 4, 6: 5}


@given(
    start=st.floats(0, 0.5), to=st.floats(0, 0.5), over=st.integers(1, 3000), points=st.integers(1, 200),
    name=st.sampled_from(["epsilon", "clip"]),
)  # fmt: skip
def test_every_change_of_a_ramp_is_allowed_and_goes_one_way(start, to, over, points, name):
    moves = course(CONTROLS[name], start, to, over, points)
    assert len(moves) <= points
    assert all(1 <= after <= over for after in moves)
    values = [start, *moves.values()]
    assert values == sorted(values, reverse=to < start)
    assert values[-1] == to
    for value in moves.values():
        CONTROLS[name].check(value)
