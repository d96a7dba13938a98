"""Killed after a command was recorded as applied and before the step it belongs to: it takes effect exactly once."""

import itertools

import pytest

from tests.faults import deadly
from tests.faults.harness import FULL, answered, whole
from workbench.runs import Store, compose, start_queued

STEPS = 60
#: Several commands before one step, a checkpoint between them, a step that is a checkpoint's (every 5).
SCRIPT = (
    (7, "set", {"strength": 2.0}),
    (7, "action", "shrink"),
    (10, "action", "shrink"),
    (10, "checkpoint", None),
    (10, "set", {"strength": 3.0, "optimizer.lr": 0.02}),
    (33, "action", "shrink"),
)
CASES = list(itertools.product(("faults/plain", "faults/lightning"), ("before", "after"), range(1, 1 + len(SCRIPT)),
                               (0, 5, 1) if FULL else (5,)))  # fmt: skip
CASES = CASES if FULL else CASES[1:4] + CASES[7:8] + CASES[-4:-1]


def make(experiment, every):
    """A run with its commands in the inbox, not started yet."""
    overrides = {"steps": STEPS, "pace": 0, "tracking": "off", "run.flush_ms": 20, "run.checkpoint_every": every}
    run = Store.find().create(compose(experiment, overrides=overrides))
    for step, kind, what in SCRIPT:
        match kind:
            case "set":
                run.set(what, at_step=step)
            case "action":
                run.action(what, at_step=step)
            case "checkpoint":
                run._issue("checkpoint", {}, at_step=step, source="test")
    return run


def ends(run):
    start_queued(Store.find())
    assert run.wait(90) == "finished", run.message
    return run


def test_a_command_recorded_but_not_trained_takes_effect_exactly_once(monkeypatch, tell):
    undisturbed, killed = {}, 0
    for experiment, when, number, every in CASES:
        if experiment not in undisturbed:
            undisturbed[experiment] = ends(make(experiment, 0))
            answered(undisturbed[experiment], len(SCRIPT))
        run = make(experiment, every)
        with monkeypatch.context() as patch:
            patch.setenv(deadly.VARIABLE, f"{when} {number}")
            start_queued(Store.find())
            assert run.wait(90) == "lost"
        records = run.interventions
        assert len(records) >= number
        assert run.step < SCRIPT[number - 1][0]  # the step it belongs to was not recorded
        killed += 1
        run.restart()
        assert run.wait(90) == "finished", run.message
        assert run.reader.meta["exact"]["ok"], run.reader.meta["exact"]
        whole(run, 0, STEPS - 1)
        after = answered(run, len(SCRIPT))
        assert after[: len(records)] == records
        same = run.identical_to(undisturbed[experiment])
        assert same, f"{experiment} {when} {number} every {every}: {same}"
    tell(
        "9",
        "SIGKILL after a command is recorded as applied, before or right after its effect, before the step trains",
        "after the restart it takes effect exactly once; metrics, arrays and weights are those of an undisturbed run",
        kills=killed, runs_bit_identical=killed,
    )  # fmt: skip


@pytest.mark.parametrize("experiment", ["faults/plain", "faults/lightning"])
def test_the_comparison_would_see_an_action_done_twice(experiment):
    once = ends(make(experiment, 0))
    twice = make(experiment, 0)
    twice.action("shrink", at_step=33)
    assert not ends(twice).identical_to(once)
