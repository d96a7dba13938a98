"""Two workers that are told to train the same run: one does, the other leaves and says why."""

import threading

from tests.faults.harness import reach, start, times, until, whole
from workbench.runs import Store, compose, spare

PAIRS = times(5, 200)


def test_of_two_workers_for_one_run_one_is_refused(tell):
    store, refused = Store.find(), 0
    for number in range(PAIRS):
        overrides = {"steps": 150, "tracking": "off", "run.flush_ms": 50}
        run = store.create(compose("faults/plain", seed=number, overrides=overrides))
        pids = []
        together = threading.Barrier(2)

        def take(run=run, pids=pids, together=together):
            together.wait()
            pids.append(spare.hand_over(run))

        threads = [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert None not in pids
        until(lambda run=run: "Another worker" in words(run), "the refusal")
        assert run.wait(60) == "finished"
        assert run.dir.log.read_text().count("Another worker") == 1
        assert run.reader.meta["pid"] in pids
        assert run.reader.meta["attempt"] == 0
        whole(run, 0, 149)
        refused += 1
    tell(
        "7",
        "two workers told to train the same run at the same moment",
        "one trains it from the first step to the last, the other is refused and names the process that trains",
        pairs=PAIRS, refused=refused,
    )  # fmt: skip


def words(run):
    return run.dir.log.read_text() if run.dir.log.exists() else ""


def test_a_run_in_hand_is_refused_while_it_is_paused_too():
    run = start(steps=10**6)
    reach(run, 3)
    run.pause()
    until(lambda: run.state == "paused", "the pause", run)
    assert spare.hand_over(run)
    until(lambda: "Another worker" in words(run), "the refusal", run)
    assert run.state == "paused"
