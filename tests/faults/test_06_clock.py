"""The wall clock of the training process jumps, by hours and years, back and forward; nothing depends on it."""

import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from tests.faults.harness import answered, reach, start, times, whole

JUMPS = times(8, 200)
HOUR = 3600.0
BY = (HOUR, -HOUR, 30 * 24 * HOUR, -24 * HOUR, -3e8, 3e8, 0.5, -0.5, 0.0)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Sets the clock of processes started from now on."""
    path = tmp_path / "clock"

    def turn(seconds):
        draft = path.with_suffix(".part")
        draft.write_text(str(seconds))
        draft.replace(path)

    turn(0.0)
    monkeypatch.setenv("FAULTS_CLOCK", str(path))
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent / 'clock'}{os.pathsep}{os.environ['PYTHONPATH']}")
    return turn


def test_a_jumping_clock_disturbs_neither_the_record_nor_the_commands(clock, tell):
    draw = random.Random(6)
    run = start(steps=10**6)
    reach(run, 3)
    jumps = []
    for _ in range(JUMPS):
        jumps.append(draw.choice([by for by in BY if by != (jumps or [None])[-1]]))
        clock(jumps[-1])
        record = run.wait_outcome(run.set(strength=float(draw.randint(1, 1000))))
        assert record.outcome == "applied"
        reach(run, record.step + 1)
        assert run.state == "running"
        time.sleep(draw.uniform(0, 0.05))
    issued = run.stop().seq
    assert run.wait(60) == "stopped"
    whole(run, 0, run.step)
    answered(run, issued)
    went = np.diff(run["loss"].times)
    changes = np.diff([0.0, *jumps])
    assert (went < -60).sum() == (changes < -60).sum()  # the clock in the record did jump
    assert (went > 60).sum() == (changes > 60).sum()
    tell(
        "6",
        "the worker's wall clock jumps, by half a second to ten years",
        "every step is recorded once, in order; flushes and commands go on within the same boundary",
        jumps=JUMPS, back=int((changes < 0).sum()), forward=int((changes > 0).sum()), steps=run.step + 1,
        commands=issued,
    )  # fmt: skip
