"""What is asked of a paused run is decided at once, in order, and neither lost nor done twice."""

import os
import random
import signal

import pytest

from tests.faults.harness import answered, kill, pid_of, reach, start, times, until, whole
from workbench.cards.errors import NotAllowed
from workbench.runs import Run

ROUNDS = times(2, 40)


@pytest.mark.parametrize("experiment", ["faults/plain", "faults/lightning"])
def test_commands_to_a_paused_run_are_neither_lost_nor_dropped(experiment, tell):
    draw = random.Random(experiment)
    run = start(experiment, steps=100_000)
    asked = dict.fromkeys(("set", "action", "step", "later", "checkpoint"), 0)
    for _ in range(ROUNDS):
        reach(run, 3)
        run.pause()
        until(lambda: run.state == "paused" and not run.pending, "the pause", run)
        for _ in range(draw.randint(5, 15)):
            kind = draw.choice(list(asked))
            asked[kind] += 1
            ask(run, kind, draw)
        last = run.resume().seq
        until(lambda last=last: run.outcome(last), "the end of the pause", run)
        reach(run, run.outcome(last).step + 60)
    issued = run.stop().seq
    assert run.wait(60) == "stopped"
    whole(run, 0, run.step)
    records = answered(run, issued)
    assert {r.outcome for r in records} <= {"applied", "superseded"}
    tell(
        "10" + "ab"[experiment.endswith("lightning")],
        f"commands to a paused run, {experiment.split('/')[1]}",
        "each has one outcome, in order; each effect is in the curves exactly once, from its step on",
        pauses=ROUNDS, commands=len(records), **{k: n for k, n in asked.items() if n},
        applied=sum(r.outcome == "applied" for r in records),
    )  # fmt: skip


def ask(run: Run, kind: str, draw: random.Random) -> None:
    match kind:
        case "set":
            run.set(strength=float(draw.randint(1, 1000)))
        case "later":
            run.set(strength=float(draw.randint(1, 1000)), at_step=run.step + draw.randint(40, 45))
        case "action":
            run.action("shrink")
        case "step":
            run.do_steps(draw.randint(1, 2))
        case "checkpoint":
            run.checkpoint()


def test_commands_that_a_killed_worker_had_not_looked_at_are_decided_after_the_restart(tell):
    waiting = lost = 0
    for number in range(times(2, 40)):
        run = start(steps=300, run__checkpoint_every=3)
        reach(run, 20)
        if number % 2:
            run.pause()
            until(lambda run=run: run.state == "paused", "the pause", run)
        os.kill(pid_of(run), signal.SIGSTOP)  # alive, and looking at nothing
        for k in range(5):
            run.set(strength=float(10 * number + k))
            run.action("shrink")
        before = len(run.interventions)
        waiting += 10
        kill(run)
        assert run.wait(60) == "lost"
        assert len(run.pending) == 10
        lost += 1
        with pytest.raises(NotAllowed, match="lost"):
            run.set(strength=1.0)
        run.restart()
        until(lambda run=run: not run.pending, "every outcome", run)
        if run.state == "paused":
            run.resume()
        assert run.wait(60) == "finished"
        whole(run, 0, 299)
        issued = len(run.interventions)
        records = answered(run, issued)
        mine = [r for r in records if r.id > before and r.kind in ("set", "action")]
        assert [r.outcome for r in mine if r.kind == "action"] == ["applied"] * 5
        assert [r.outcome for r in mine if r.kind == "set"] == ["superseded"] * 4 + ["applied"]
    tell(
        "10c",
        "SIGKILL of a worker, paused or training, with commands in its inbox that it has not looked at",
        "a lost run takes no more of them, in words; after the restart each gets its outcome, in order",
        kills=lost, commands_waiting=waiting, decided_after_the_restart=waiting,
    )  # fmt: skip
