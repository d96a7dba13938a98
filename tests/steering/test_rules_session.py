"""Rules in a real session: a firing is an ordinary recorded set, and a hand wins over a ramp."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

import workbench
from workbench import emit
from workbench.cards import Adam, Config, UnknownName, control


@dataclass
class Knobs(Config):
    epsilon: float = control(0.1, min=0, max=1)
    other: float = control(0.0, min=0, max=1)
    optimizer: Adam = field(default_factory=Adam)


def session(config, rules):
    return workbench.session(config, experiment="my/rules", mlflow=False, rules=rules)


def test_a_firing_is_a_recorded_set_at_its_step():
    config, seen = Knobs(), []
    rules = [
        workbench.when(signal="loss", above=5, then=workbench.set(epsilon=0.5)),
        workbench.ramp("other", to=1, over=4, at=10),
    ]
    with session(config, rules) as s:
        for step in s.steps(20):
            emit("loss", step)
            seen.append((config.epsilon, config.other))
    run = workbench.run()
    assert run.config["rules"] == [rule.plain() for rule in rules]
    assert [epsilon for epsilon, _ in seen] == [0.1] * 7 + [0.5] * 13
    assert [other for _, other in seen] == [0] * 11 + [0.25, 0.5, 0.75] + [1] * 6
    assert [(r.step, r.source, r.outcome) for r in run.interventions] == [
        (step, "rule", "applied") for step in (7, 11, 12, 13, 14)
    ]
    assert run.interventions[0].payload["rule"] == "when loss is above 5"


def test_a_hand_on_the_slider_ends_a_ramp_that_moves_at_every_step():
    config = Knobs()
    with session(config, [workbench.ramp("epsilon", to=1, over=90)]) as s:
        run = workbench.run()
        for step in s.steps(100):
            emit("loss", step)
            if step == 20:
                run.set(epsilon=0.05)
            time.sleep(0.001)
    assert config.epsilon == 0.05
    by_hand = [r for r in run.interventions if r.source != "rule"]
    assert [r.outcome for r in by_hand] == ["applied"]
    assert run.interventions[-1].seq == by_hand[0].seq


def test_a_rule_may_name_what_is_registered_and_a_wrong_name_ends_the_run_before_its_first_step():
    with (
        pytest.raises(UnknownName, match="control 'epsilom' in rule 1"),
        session(Knobs(), [workbench.when(step=1, then=workbench.set(epsilom=0.2))]) as s,
    ):
        for _ in s.steps(3):
            pass
    assert workbench.run().step == -1
