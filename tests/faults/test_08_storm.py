"""Thousands of commands from many processes at once: each has its outcome, in the order of their numbers."""

import numpy as np

from tests.faults.harness import answered, end, module, reach, start, times, until, whole

PROCESSES = 8
EACH = times(50, 1250)


def test_a_storm_of_commands_is_answered_in_full_and_in_order(tell):
    run = start(steps=10**6)
    reach(run, 200)
    senders = [module("sender", run.dir.path, EACH, number) for number in range(PROCESSES)]
    for sender in senders:
        assert sender.stdout.readline() == "ready\n"
    calm = run.step
    for sender in senders:  # all at once
        sender.stdin.write("go\n")
        sender.stdin.flush()
    failed = [line for sender in senders for line in sender.stdout.read().splitlines()]
    assert failed == ["sent"] * PROCESSES
    until(lambda: len(run.interventions) == PROCESSES * EACH, "every outcome", run)
    reach(run, run.step + 200)
    last = run.stop().seq
    assert run.wait(60) == "stopped"
    end(*senders)
    whole(run, 0, run.step)
    records = answered(run, PROCESSES * EACH + 1)
    assert records[-1].seq == last
    sets = records[:-1]
    assert {r.outcome for r in sets} == {"applied", "superseded"}
    by_sender = [[r.new.get("strength", r.payload["values"]["strength"]) for r in sets if r.source == f"sender {n}"]
                 for n in range(PROCESSES)]  # fmt: skip
    assert by_sender == [[float(1000 * n + k % 1000) for k in range(EACH)] for n in range(PROCESSES)]
    first, final = sets[0].step, sets[-1].step
    spent = run["cpu"]
    used = np.diff(spent.values)
    during = (spent.steps[:-1] >= first) & (spent.steps[:-1] <= final)
    before = spent.steps[:-1] < calm
    tell(
        "8",
        f"a storm of set commands from {PROCESSES} processes",
        "every command has one outcome, in the order of their numbers; the curve is the one the record implies",
        commands=len(sets), applied=sum(r.outcome == "applied" for r in sets),
        superseded=sum(r.outcome == "superseded" for r in sets), boundaries=len({r.step for r in sets}),
        steps_meanwhile=int(during.sum()), refused_at_sending=0,
        processor_time_of_the_training_thread_a_step=f"{np.mean(used[during]):.0f} µs in the storm, "
        f"{np.mean(used[before]):.0f} µs before it",
        added_a_command=f"{(used[during].sum() - during.sum() * np.mean(used[before])) / len(sets):.0f} µs",
    )  # fmt: skip
