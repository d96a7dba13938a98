"""Rules at work, driven as a session drives them: what fires, before which step, and the same after any restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench
from workbench.cards import Adam, Config, Finding, UnknownName, control, controls_of
from workbench.cards.rules import ramp, set, when
from workbench.detectors import Detector, Detectors, load
from workbench.steering.rules import Rules


@dataclass
class Knobs(Config):
    epsilon: float = control(0.1, min=0, max=1)
    count: int = control(3, min=1, max=9)
    optimizer: Adam = field(default_factory=lambda: Adam(lr=1e-3))


CONTROLS = controls_of(Knobs())


def drive(rules, rows, *, first=0, by_hand=None, hold=0, recorded=(), early=False):
    """Take a boundary before each step, as a session does; returns what was set, (step, values), in order.

    `by_hand`: step → values that somebody sets there. Below `hold` the `recorded` sets take effect (`early`: before the
    rules are asked) instead of what the rules say.
    """
    applied = []

    def set_(step, sets):
        for values in sets:
            rules.control_changed(step, values)
            applied.append((step, values))

    for step in range(first, first + len(rows)):
        if step > first or first:
            rules.observe(step - 1, rows[step - 1 - first] if step > first else {})
        asked = (by_hand or {}).get(step, {}) if step >= hold else {}
        again = [values for s, values in recorded if s == step] if step < hold else []
        if early:
            set_(step, again)
        firings = rules.due(step, asked.keys)
        assert not rules.due(step, asked.keys), "the same boundary fires once"
        if not early:
            set_(step, again)
        if step >= hold:
            set_(step, [asked] if asked else [])
            set_(step, [firing.values for firing in firings])
    return applied


def losses(*values):
    return [{"loss": float(v), "other": 1.0, "words": "text"} for v in values]


def test_a_step_is_a_rule_that_fires_once_before_it():
    assert drive(Rules([when(step=3, then=set(epsilon=0.2))], CONTROLS), [{}] * 9) == [(3, {"epsilon": 0.2})]


def test_a_threshold_fires_before_the_step_after_the_value():
    rules = Rules([when(signal="loss", above=3, then=set(epsilon=0.2))], CONTROLS)
    assert drive(rules, losses(1, 3, 3.1, 9, 1, 9, 0)) == [(3, {"epsilon": 0.2})]
    assert not rules


def test_a_threshold_must_hold_for_its_steps_without_a_break():
    rules = Rules([when(signal="loss", below=1, for_steps=3, then=set(epsilon=0.2))], CONTROLS)
    assert drive(rules, losses(0, 0, 2, 0, 0, 0, 0, 0)) == [(6, {"epsilon": 0.2})]


def test_a_threshold_looked_at_seldom_misses_nothing_in_between():
    rules = Rules([when(signal="loss", above=3, every=4, then=set(epsilon=0.2))], CONTROLS)
    assert drive(rules, losses(1, 1, 1, 1, 1, 9, 1, 1, 1, 1)) == [(8, {"epsilon": 0.2})]


def test_a_rule_may_fire_again_after_its_cooldown():
    rules = Rules([when(signal="loss", above=3, then=set(epsilon=0.2), once=False, cooldown=4)], CONTROLS)
    assert [step for step, _ in drive(rules, losses(1, 9, 9, 9, 1, 9, 9, 1, 1, 1, 9, 1))] == [2, 6, 11]


@pytest.mark.parametrize(
    "value",
    [
        4,
        np.float32(4),
        np.array([0.0, np.nan, 4.0]),
        np.array([[0, 4]]),
        torch.tensor(4.0),
        torch.ones(2).bfloat16() * 4,
    ],
)
def test_numbers_arrays_and_tensors_are_compared_by_any_of_their_components(value):
    rules = Rules([when(signal="load", above=3, then=set(epsilon=0.2))], CONTROLS)
    assert drive(rules, [{"load": value}, {}, {}]) == [(1, {"epsilon": 0.2})]


@pytest.mark.parametrize("value", [float("nan"), np.array([np.nan, 1.0]), np.empty(0), "4", True])
def test_what_lies_on_no_side_of_a_number_fires_nothing(value):
    for limit in ({"above": 3}, {"below": -3}):
        rules = Rules([when(signal="load", **limit, then=set(epsilon=0.2))], CONTROLS)
        assert drive(rules, [{"load": value}, {}, {}]) == []


# -- findings ---------------------------------------------------------------------------------------------------------


RECORDED = np.load(Path(__file__).parents[1] / "golden" / "certified_recorded.npz")
IBP = workbench.card("certified/ibp")


def recorded_rows(run: str) -> list[dict[str, Any]]:
    """A recorded run of certified/ibp, a dict a step, as its session would hand them over."""
    series = {n.split(".")[1]: RECORDED[n] for n in RECORDED.files if n.startswith(f"{run}.")}
    series["relu_unstable"] = 1 - series["relu_active"] - series["relu_inactive"]
    probe = RECORDED["steps.probe"].tolist()
    rows: list[dict[str, Any]] = [{} for _ in series["robust_loss"]]
    for name, values in series.items():
        for step, value in zip(range(len(rows)) if len(values) == len(rows) else probe, values, strict=True):
            rows[step][name] = float(value) if value.ndim == 0 else value
    return rows


def opened(run: str, finding: str) -> int:
    """The step whose values open the finding in the run's own detectors, fed one step at a time."""
    detectors = Detectors(load(IBP))
    for step, row in enumerate(recorded_rows(run)):
        columns = {n: np.asarray(v)[None] for n, v in row.items()}
        if any(f.id == finding for f in detectors.update_block(np.array([step]), columns)):
            return step
    raise AssertionError(f"{finding} does not open in {run}")


@pytest.mark.parametrize("run", ["vanilla", "fast_no_bn"])
@pytest.mark.parametrize("every", [1, 10, 300])
def test_a_finding_fires_at_the_first_look_after_it_opens(run, every):
    rules = Rules(
        [when(finding="exploded_bounds", then=set(epsilon=0.05), every=every)], IBP.controls, detectors=load(IBP)
    )
    at = -(-(opened(run, "exploded_bounds") + 1) // every) * every
    expected = [(at, {"epsilon": 0.05})] if at < len(recorded_rows(run)) else []
    assert drive(rules, recorded_rows(run)) == expected
    assert expected or every == 300


def test_a_finding_that_never_opens_fires_nothing():
    rules = Rules([when(finding="exploded_bounds", then=set(epsilon=0.05))], IBP.controls, detectors=load(IBP))
    assert drive(rules, recorded_rows("fast")) == []
    assert rules


def test_any_generic_detector_can_be_named():
    rng = np.random.default_rng(0)
    values = 1 + 0.01 * rng.standard_normal(100)
    values[70] = 50
    rules = Rules([when(finding="spike", then=set(epsilon=0.2))], CONTROLS)
    assert drive(rules, losses(*values)) == [(80, {"epsilon": 0.2})]


class Wide(Detector):
    """Epsilon above a half, wherever that came from."""

    id, title, needs = "wide", "Wide", ("epsilon",)

    def update(self, step: int, values: Any) -> Iterator[Finding]:
        if values["epsilon"] > 0.5:
            yield Finding(self.id, self.title, step, "Wide.")


def test_a_detector_sees_controls_as_they_change():
    rules = Rules([when(finding="wide", then=set(count=5), every=1, once=False, cooldown=1)], CONTROLS, [Wide()])
    moves = {2: {"epsilon": 0.4}, 4: {"epsilon": 0.8}, 6: {"epsilon": 0.9}}
    assert [(s, v) for s, v in drive(rules, [{}] * 9, by_hand=moves) if "count" in v] == [
        (5, {"count": 5}), (7, {"count": 5})
    ]  # fmt: skip


def test_a_detector_of_the_rule_is_its_own():
    detector = load(IBP)[0]
    before = json.dumps(detector.state_dict())
    drive(Rules([when(finding=detector.id, then=set(epsilon=0))], IBP.controls, [detector]), recorded_rows("vanilla"))
    assert json.dumps(detector.state_dict()) == before


def test_a_finding_or_control_that_the_run_does_not_have_is_refused():
    with pytest.raises(UnknownName, match="finding 'wide'"):
        Rules([when(finding="wide", then=set(epsilon=0.2))], CONTROLS)
    with pytest.raises(UnknownName, match="control 'epsilom'"):
        Rules([when(step=1, then=set(epsilom=0.2))], CONTROLS)


# -- ramps ------------------------------------------------------------------------------------------------------------


def test_a_ramp_moves_step_by_step_from_where_the_control_stands():
    rules = Rules([ramp("epsilon", to=0.5, over=4, at=2)], CONTROLS)
    moves = drive(rules, [{}] * 9, by_hand={1: {"epsilon": 0.3}})[1:]
    assert [step for step, _ in moves] == [3, 4, 5, 6]
    assert [v["epsilon"] for _, v in moves] == pytest.approx([0.35, 0.4, 0.45, 0.5])
    assert moves[-1] == (6, {"epsilon": 0.5})
    assert not rules


def test_a_ramp_without_a_step_begins_with_the_run():
    assert [s for s, _ in drive(Rules([ramp("epsilon", to=0.5, over=3)], CONTROLS), [{}] * 9)] == [1, 2, 3]


def test_a_ramp_begins_at_what_is_set_at_its_very_boundary():
    rules = Rules([when(step=2, then=set(epsilon=0.3)), ramp("epsilon", to=0.5, over=2, at=2)], CONTROLS)
    assert drive(rules, [{}] * 9) == [(2, {"epsilon": 0.3}), (3, {"epsilon": 0.4}), (4, {"epsilon": 0.5})]


def test_a_rule_can_begin_a_ramp_and_says_why():
    rules = Rules([when(signal="loss", above=3, then=ramp("lr", to=1e-5, over=2))], CONTROLS)
    for step, row in enumerate(losses(9, 1, 1, 1)):
        firings = rules.due(step)
        if firings:
            assert firings[0].label == "ramp of optimizer.lr to 1e-05 over 2 steps, begun when loss is above 3"
            assert firings[0].values["optimizer.lr"] == pytest.approx(1e-4)
            return
        rules.observe(step, row)
    raise AssertionError("nothing fired")


def test_a_hand_on_the_slider_ends_a_ramp():
    rules = Rules([ramp("epsilon", to=0.5, over=6)], CONTROLS)
    moves = drive(rules, [{}] * 9, by_hand={3: {"epsilon": 0.9}})
    assert [step for step, _ in moves] == [1, 2, 3]
    assert moves[-1] == (3, {"epsilon": 0.9})


def test_a_hand_that_is_refused_only_delays_a_ramp():
    rules = Rules([ramp("epsilon", to=0.5, over=4)], CONTROLS)
    steps = [step for step in range(9) if rules.due(step, lambda: ["epsilon"] if step in (2, 4) else [])]  # noqa: B023
    assert steps == [1, 3, 5]
    assert not rules


def test_a_later_rule_or_ramp_of_the_same_control_replaces_a_ramp():
    declared = [ramp("epsilon", to=0.5, over=8), when(step=3, then=set(epsilon=0.9)), ramp("count", to=5, over=8)]
    moves = drive(Rules(declared, CONTROLS), [{}] * 12)
    assert [s for s, v in moves if "epsilon" in v] == [1, 2, 3]
    assert [v["count"] for _, v in moves if "count" in v] == [4, 5]


# -- restarts ---------------------------------------------------------------------------------------------------------


DECLARED = [
    when(finding="exploded_bounds", then=ramp("optimizer.lr", to=1e-5, over=37)),
    when(finding="relu_imbalance", then=set(kappa=0.5), every=7, once=False, cooldown=30),
    when(signal="robust_loss", above=2.31, for_steps=2, then=set(grad_clip=1.0), every=3, once=False, cooldown=20),
    ramp("epsilon", to=0.2, over=150, at=20),
    when(step=90, then=set(epsilon=0.3)),
]
BY_HAND = {60: {"kappa": 0.1}, 150: {"optimizer.lr": 2e-4}}


def undisturbed():
    rules = Rules(DECLARED, IBP.controls, load(IBP))
    return drive(rules, recorded_rows("vanilla"), by_hand=BY_HAND), json.dumps(rules.state_dict())


WHOLE, END = undisturbed()


def test_the_example_of_these_tests_moves_everything():
    assert {name for _, values in WHOLE for name in values} == {"epsilon", "kappa", "grad_clip", "optimizer.lr"}


@settings(max_examples=25)
@given(saved=st.integers(1, 398), lost=st.integers(0, 120), early=st.booleans())
def test_from_a_checkpoint_the_rules_go_on_as_if_nothing_had_happened(saved, lost, early):
    """Saved before `saved`, killed `lost` steps later: recorded sets are done again, then the rules are alone."""
    rows = recorded_rows("vanilla")
    first = Rules(DECLARED, IBP.controls, load(IBP))
    before = drive(first, rows[:saved], by_hand=BY_HAND)
    first.observe(saved - 1, rows[saved - 1])
    state = json.loads(json.dumps(first.state_dict()))

    again = Rules([rule.plain() for rule in DECLARED], IBP.controls, load(IBP))
    again.load_state_dict(state)
    after = drive(again, rows[saved:], first=saved, by_hand=BY_HAND, hold=saved + lost, recorded=WHOLE, early=early)
    assert before + after == WHOLE
    assert json.dumps(again.state_dict()) == END


def test_saving_does_not_change_what_happens():
    rules = Rules(DECLARED, IBP.controls, load(IBP))
    rows, applied = recorded_rows("vanilla"), []
    for step in range(len(rows)):
        if step:
            rules.observe(step - 1, rows[step - 1])
        rules.state_dict()
        sets = [BY_HAND[step]] if step in BY_HAND else []
        for values in [*sets, *(f.values for f in rules.due(step, lambda: BY_HAND.get(step, {})))]:  # noqa: B023
            rules.control_changed(step, values)
            applied.append((step, values))
    assert applied == WHOLE


def test_a_state_of_other_rules_leaves_new_ones_fresh():
    old = Rules([when(step=2, then=set(epsilon=0.2)), ramp("count", to=9, over=50)], CONTROLS)
    drive(old, [{}] * 5)
    new = Rules([when(step=7, then=set(epsilon=0.4)), when(step=2, then=set(epsilon=0.2))], CONTROLS)
    new.load_state_dict(json.loads(json.dumps(old.state_dict())))
    assert drive(new, [{}] * 6, first=4) == [(7, {"epsilon": 0.4})]


def test_without_rules_nothing_is_kept():
    rules = Rules([], CONTROLS)
    assert not rules
    assert drive(rules, losses(1, 2, 3)) == []
    assert rules.state_dict() == {"rules": [], "ramps": [], "values": {}}
