"""Time travel in a plain loop: replay, fork and resume give the same bits, whatever the loop draws from."""

from __future__ import annotations

import pytest
import torch

import workbench
from tests.steering.plain_loop import SCHEDULES, STEPS, train
from workbench import emit
from workbench.cards import WorkbenchError
from workbench.journal import Inbox

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")  # inside an accumulation window


def commands(run):
    """A mixed bag, issued before the first step."""
    run.set({"run.checkpoint_every": 7}, at_step=1)
    run.set(scale=2.0, at_step=10)
    run.set({"optimizer.lr": 0.01, "drop": 0.5}, at_step=20)
    run.action("shrink", at_step=20)
    run.probe("look")
    run.set(decay=3, at_step=25)
    run.set({"probes.look": 5}, at_step=30)
    run.set(scale=1.0, at_step=31)
    run.set({"optimizer.lr": 0.04}, at_step=44)


def steered(**options):
    return train(first=commands, **options)


def same(a, b, **options):
    found = a.identical_to(b, **options)
    assert found, str(found)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_replay_repeats_a_steered_run_to_the_bit(schedule):
    run = steered(schedule_name=schedule)
    assert run.state == "finished"
    again = train(resume=run.replay(start=False).id, schedule_name=schedule)
    assert [r.source for r in again.interventions if r.outcome == "applied"] == ["replay"] * 9
    same(run, again)


@pytest.mark.parametrize(("schedule", "accumulate"), [(name, 1 + i % 3) for i, name in enumerate(SCHEDULES)])
def test_a_fork_that_is_given_the_same_commands_repeats_the_rest_to_the_bit(schedule, accumulate):
    run = steered(schedule_name=schedule, accumulate=accumulate)
    assert [c.step for c in run.checkpoints] == [7, 14, 21, 28, 35, 42, 49, 56]
    for step in (5, 14, 20, 45):
        child = train(resume=forked(run, step).id, schedule_name=schedule, accumulate=accumulate)
        assert child.reader.first_step == step
        same(run, child)


def forked(run, step, **options):
    """A prepared fork that will be given again what the parent was given from there on."""
    child = run.fork(step, start=False, **options)
    inbox = Inbox(child.dir)
    for r in run.interventions:
        if r.step >= step and r.outcome == "applied" and r.seq >= (options.get("before") or 0):
            inbox.issue(r.kind, r.payload, at_step=r.step)
    inbox.close()
    return child


@pytest.mark.parametrize(
    "crashes", [(3,), (20,), (21, 22), (29, 30, 31), (44, 45, 59)], ids=lambda c: "-".join(map(str, c))
)
def test_a_run_that_crashed_goes_on_and_ends_as_if_nothing_had_happened(crashes):
    undisturbed = steered(accumulate=2)
    with pytest.raises(ZeroDivisionError):
        steered(accumulate=2, leave_at=crashes[0])
    run = workbench.run()
    for step in (*crashes[1:], None):
        assert run.state == "failed"
        try:
            train(resume=run.id, accumulate=2, leave_at=step)
        except ZeroDivisionError:
            assert step is not None
    assert run.state == "finished"
    assert run.reader.meta["attempt"] == len(crashes)
    assert not run.reader.events(["warning"])  # what was trained twice was the same twice
    same(undisturbed, run)


def test_without_any_checkpoint_a_crashed_run_is_trained_again_from_the_start():
    undisturbed = train()
    with pytest.raises(ZeroDivisionError):
        train(leave_at=40)
    run = workbench.run()
    assert not run.checkpoints
    train(resume=run.id)
    same(undisturbed, run)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it():
    undisturbed = steered()
    with pytest.raises(ZeroDivisionError):
        steered(leave_at=50)
    run = workbench.run()
    newest = run.checkpoints[-1]
    path = run.dir.checkpoints / newest.path
    path.write_bytes(path.read_bytes()[:-100] + b"x" * 100)
    train(resume=run.id)
    same(undisturbed, run)
    [warning] = run.reader.events(["warning"])
    assert newest.path in warning.payload["text"]
    assert "damaged" in warning.payload["text"]


def test_commands_that_arrive_after_a_crash_wait_for_the_first_new_step():
    with pytest.raises(ZeroDivisionError):
        steered(leave_at=27)
    run = workbench.run()
    inbox = Inbox(run.dir)
    now, late = (
        inbox.issue("set", {"values": {"scale": 5.0}}),
        inbox.issue("set", {"values": {"drop": 0.0}}, at_step=23),
    )
    train(resume=run.id)
    assert (run.outcome(now).outcome, run.outcome(now).step) == ("applied", 27)
    assert run.outcome(late).outcome == "expired"
    same(run, train(resume=run.replay(start=False).id))


def test_a_step_that_is_not_the_same_when_trained_again_is_named():
    with pytest.raises(ZeroDivisionError):
        train(first=commands, each=lambda s, step: emit("mine", 1.0), leave_at=27)
    run = workbench.run()
    train(each=lambda s, step: emit("mine", 1.0 + (step == 24)), resume=run.id)
    [warning] = run.reader.events(["warning"])
    assert "Step 24 was trained again and is not the same: mine is 2.0, was 1.0" in warning.payload["text"]


def test_fork_before_a_row_keeps_what_stands_before_it_at_the_same_step():
    run = steered()
    both = {r.seq: r for r in run.interventions if r.step == 20}
    assert [r.kind for r in both.values()] == ["set", "action"]
    child = run.fork(20, before=max(both), start=False)
    child = train(resume=child.id)
    assert child["lr"].values[0] == run["lr"].values[20]  # the set was kept
    assert not child.interventions
    same(run, train(resume=forked(run, 20, before=max(both)).id))


def test_a_fork_changes_what_it_is_told_at_its_step_and_nothing_before():
    run = steered()
    child = train(resume=run.fork(33, scale=4.0, lr=0.005, start=False).id)
    [record] = child.interventions
    assert (record.step, record.source, record.new) == (33, "fork", {"scale": 4.0, "optimizer.lr": 0.005})
    assert record.old == {"scale": 1.0, "optimizer.lr": 0.01}
    assert child["loss"].steps.tolist() == list(range(33, STEPS))
    assert child["loss"].values[0] == 4 * run["loss"].values[33]
    assert (child.parent, child.fork_step, child.kind) == (run.id, 33, "fork")
    assert child.history("loss").values[:33].tolist() == run["loss"].values[:33].tolist()


def test_a_fork_of_a_fork_needs_only_its_parent():
    run = steered()
    child = train(resume=run.fork(33, scale=4.0, start=False).id)
    grandchild = train(resume=child.fork(50, start=False).id)
    same(child, grandchild)


def test_a_fork_before_its_own_beginning_is_a_fork_of_the_parent():
    run = steered()
    child = train(resume=run.fork(33, scale=4.0, start=False).id)
    assert child.fork(12, start=False).parent == run.id


@pytest.mark.parametrize(
    ("step", "changes", "words"),
    [
        (61, {}, "only come to step 60"),
        (60, {}, "nothing is left to train"),
        (-1, {}, "whole number from 0"),
        (10, {"scale": 11.0}, "between 0 and 10"),
        (10, {"width": 3}, "decided at launch"),
        (10, {"scael": 1.0}, "scale"),
        (10, {"before": 99}, "no command 99"),
    ],
)
def test_a_fork_that_cannot_be_is_refused_in_words_and_leaves_nothing(step, changes, words, store):
    run = train()
    with pytest.raises(WorkbenchError, match=words):
        run.fork(step, **changes)
    assert len(list(store.glob("*my-loop*"))) == 1


def test_a_replay_of_a_fork_begins_where_the_fork_did():
    child = train(resume=steered().fork(33, scale=4.0, start=False).id)
    again = train(resume=child.replay(start=False).id)
    assert (again.replay_of, again.kind, again.reader.first_step) == (child.id, "replay", 33)
    same(child, again)


def test_a_stopped_run_keeps_its_last_state_and_its_replay_stops_there():
    run = train(first=lambda run: run.stop(at_step=37))
    assert (run.state, run.checkpoints[-1].step) == ("stopped", 37)
    again = train(resume=run.replay(start=False).id)
    assert (again.state, again.step) == ("stopped", 36)
    same(run, again)
    train(resume=run.id)
    same(train(), run)


def test_the_line_about_exactness_names_what_stands_in_the_way():
    class Odd:
        def state_dict(self):
            return {"memory": {1, 2}, "good": 3}

        def load_state_dict(self, state):
            pass

    run = train()
    assert run.reader.meta["exact"]["ok"]
    assert "1 thread, torch" in run.reader.meta["exact"]["text"]
    with workbench.session(experiment="my/loop", mlflow=False) as s:
        s.register(net=torch.nn.Linear(1, 1), odd=Odd())
        list(s.steps(1))
    said = workbench.run().reader.meta["exact"]
    assert not said["ok"]
    assert "odd.memory is a set" in said["text"]


def test_objects_that_are_not_registered_again_are_named():
    with pytest.raises(ZeroDivisionError):
        steered(leave_at=27)
    run = workbench.run()
    with pytest.raises(WorkbenchError, match="holds the state of own"):
        train(resume=run.id, own=False)
    assert run.state == "failed"
