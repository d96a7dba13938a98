"""A worker killed while it writes loses nothing that was flushed, and is followed by another."""

import random
import signal
import subprocess
import sys
import time

import pytest

from workbench.journal import Reader
from workbench.journal.sqlite import connect

WORKER = """
import sys
import numpy as np
from workbench.journal import Command, CommandRecord, Reader, RunDir, RunLock, Writer
rundir, attempt = RunDir(sys.argv[1]), int(sys.argv[2])
lock = RunLock.acquire(rundir.lock)
first = max([c.step for c in Reader(rundir).checkpoints()], default=0)
writer = Writer(rundir, {}, attempt=attempt)
writer.set_state("running")
for block in range(100_000):
    steps = np.arange(first + block * 11, first + block * 11 + 11)
    writer.append(steps, steps, {"a": steps * 0.5, "b": steps * 2.0})
    writer.append_array("v", steps, steps, np.stack([steps, -steps], axis=1))
    if block % 10 == 9:
        step = int(steps[-1]) + 1
        writer.record_commands([CommandRecord.of(Command(step, "pause", {}, None, "t", 0.0), "applied", step=step)])
        writer.checkpoint(step, f"checkpoints/{step}", 1, "00", step)
    writer.flush()
    print(int(steps[-1]), flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_worker_leaves_a_whole_journal_and_the_next_attempt_goes_on(rundir, seed):
    rng = random.Random(seed)
    promised = -1
    for attempt in range(3):
        arguments = [sys.executable, "-c", WORKER, rundir.path, str(attempt)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout.readline()
            time.sleep(rng.random() * 0.25)
            worker.send_signal(signal.SIGKILL)
            said = worker.stdout.read().split()
        reader = Reader(rundir)
        promised = max(promised, int(said[-1]) if said else -1)
        assert reader.state == "lost"
        assert reader.last_step >= promised
        assert reader.damage == []
        for name, factor in (("a", 0.5), ("b", 2.0)):
            points = reader.scalars(name)
            assert points.steps.tolist() == list(range(len(points)))
            assert (points.values == points.steps * factor).all()
        assert (reader.arrays("v").values[:, 1] == -reader.arrays("v").steps).all()
        # Every checkpoint stands on values and commands that are all there.
        marks = [c.step for c in reader.checkpoints()]
        assert all(step <= reader.last_step + 1 for step in marks)
        assert set(marks) <= {c.step for c in reader.commands()}
        reader.close()
        connection = connect(rundir.journal, mode="ro")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
