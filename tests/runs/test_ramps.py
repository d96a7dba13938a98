"""A ramp of a run that exists: commands with their steps, from where the control stands. Real runs and journals."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

import workbench
from workbench import emit
from workbench.cards import Adam, Config, InvalidValue, NotAllowed, UnknownName, control
from workbench.runs.ramps import ramp


@dataclass
class Knobs(Config):
    epsilon: float = control(0.1, min=0, max=1)
    freeze: bool = control(False)
    optimizer: Adam = field(default_factory=lambda: Adam(lr=1e-2))


def session(config):
    return workbench.session(config, experiment="my/ramp", mlflow=False)


def test_a_ramp_takes_effect_at_its_steps_and_ends_exactly():
    config, seen = Knobs(), []
    with session(config) as s:
        run = workbench.run()
        commands = ramp(run, "epsilon", to=0.5, over=4, at=10)
        for step in s.steps(20):
            emit("loss", step)
            seen.append(config.epsilon)
    assert [c.at_step for c in commands] == [11, 12, 13, 14]
    assert seen[:11] == [0.1] * 11
    assert seen[11:14] == pytest.approx([0.2, 0.3, 0.4])
    assert seen[14:] == [0.5] * 6
    records = run.interventions
    assert {(r.kind, r.outcome, r.source) for r in records} == {("set", "applied", "ramp")}
    assert [r.step for r in records] == [11, 12, 13, 14]


def test_it_starts_from_the_present_value_and_knows_aliases():
    config = Knobs()
    with session(config) as s:
        run = workbench.run()
        run.set({"optimizer.lr": 1e-3}, at_step=2)
        for step in s.steps(200):
            emit("loss", step)
            if step == 5:
                s.recorder.flush()
                made = ramp(run, "lr", to=1e-5, over=2, at=100)
                time.sleep(0.03)  # the inbox is looked at every 20 ms
    assert [c.payload["values"]["optimizer.lr"] for c in made] == pytest.approx([1e-4, 1e-5])
    assert config.optimizer.lr == 1e-5


def test_without_a_step_it_begins_ahead_of_a_running_worker():
    config = Knobs()
    with session(config) as s:
        run = workbench.run()
        for step in s.steps(100_000):
            emit("loss", step)
            time.sleep(0.001)
            if step == 300:
                s.recorder.flush()
                made = ramp(run, "epsilon", to=0.5, over=200, points=4)
            if config.epsilon == 0.5:
                break
    assert len(made) == 4
    assert made[0].at_step > 300
    assert [c.at_step - made[0].at_step for c in made] == [0, 50, 100, 150]
    assert [r.outcome for r in run.interventions] == ["applied"] * 4


def test_a_long_ramp_is_a_hundred_commands():
    with session(Knobs()) as s:
        run = workbench.run()
        made = ramp(run, "epsilon", to=1, over=1000, at=0)
        for _ in s.steps(1001):
            pass
    assert len(made) == 100
    assert made[-1].at_step == 1000
    assert run.values()["epsilon"] == 1.0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": "epsilom"}, UnknownName, "control 'epsilom' in .*'epsilon'"),
        ({"to": 3}, InvalidValue, "epsilon must lie between 0 and 1"),
        ({"over": 0}, InvalidValue, "over must be a whole number"),
        ({"points": 0}, InvalidValue, "points must be a whole number"),
        ({"at": -1}, InvalidValue, "at must be a whole number"),
        ({"name": "freeze", "to": 1}, InvalidValue, "freeze is no number"),
        ({"name": "lr", "to": 0}, InvalidValue, "cannot go to 0"),
        ({"at": 5}, NotAllowed, "has passed step 5; it stands at 50"),
        ({"at": 95}, NotAllowed, "would not end within the 100 steps"),
    ],
)
def test_what_cannot_be_done_is_said_and_sends_nothing(options, error, words):
    with session(Knobs()) as s:
        run = workbench.run()
        for step in s.steps(100):
            emit("loss", step)
            if step == 51:
                s.recorder.flush()
                with pytest.raises(error, match=words):
                    ramp(run, **{"name": "epsilon", "to": 0.5, "over": 10, "at": 60, **options})
    assert run.interventions == []


def test_an_ended_run_takes_none():
    with session(Knobs()) as s:
        for _ in s.steps(1):
            pass
    with pytest.raises(NotAllowed, match="is finished"):
        ramp(workbench.run(), "epsilon", to=0.5, over=10)
