"""Forks, steps back and restarts of runs in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from workbench.cards import NotAllowed, WorkbenchError
from workbench.runs import Store, launch
from workbench.runs.run import Run

SMALL = {
    "steps": 16,
    "run.checkpoint_every": 4,
    "probe_images": 20,
    "epoch_images": 20,
    "final_images": 20,
    "run.flush_ms": 50,
    "tracking": "off",
}


def until(true, run: Run, seconds: float = 120):
    end = time.monotonic() + seconds
    while not true():
        log = run.dir.log.read_text() if run.dir.log.exists() else ""
        assert time.monotonic() < end, f"{run!r}\n{log}"
        assert run.state not in ("failed", "lost"), f"{run.message}\n{log}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = Store(tmp_path_factory.mktemp("branch") / "store")
    made = launch("certified/ibp", arm="fast", preset="smoke", overrides=SMALL, store=home)
    assert made.wait(240) == "finished", made.dir.log.read_text()
    return made


def test_a_fork_with_more_steps_is_built_anew_from_the_saved_state(run):
    length = run.steps
    child = run.fork(length - 3, steps=length + 2, epsilon=0.05)
    assert child.wait(240) == "finished", child.dir.log.read_text()
    assert (child.steps, child.step, child.reader.first_step) == (length + 2, length + 1, length - 3)
    assert set(child["eps_target"].values) == {0.05}
    assert child.reader.meta["attempt"] == 1
    unchanged = run.fork(length - 3, steps=length + 2)
    assert unchanged.wait(240) == "finished"
    assert unchanged["loss"].values[:3].tolist() == run["loss"].values[-3:].tolist()
    with pytest.raises(NotAllowed, match="width is decided at launch and shapes everything"):
        run.fork(4, width=16)


def test_a_killed_worker_is_restarted_and_ends_as_if_nothing_had_happened(run):
    undisturbed = run
    victim = launch("certified/ibp", arm="fast", preset="smoke", overrides=SMALL, store=Store(run.dir.path.parent))
    until(lambda: victim.step >= 6, victim)
    os.kill(victim.reader.meta["pid"], signal.SIGKILL)
    assert victim.wait(20) == "lost"
    victim.restart()
    assert victim.state in ("queued", "starting")
    until(lambda: victim.ended, victim)
    compared = undisturbed.identical_to(victim)
    assert compared, str(compared)
    with pytest.raises(NotAllowed, match="has finished"):
        victim.restart()


def test_a_paused_run_is_scrubbed_back_and_forth(run):
    undisturbed = run
    held = undisturbed.fork(9, paused=True)
    until(lambda: held.state == "paused", held)
    with pytest.raises(NotAllowed, match="stands before step 9, so it cannot go back 10"):
        held.back(10)
    earlier = held.back(2)
    until(lambda: earlier.state == "paused", earlier)
    assert (earlier.parent, earlier.fork_step) == (undisturbed.id, 7)
    for one in (held, earlier):
        one.resume()
        until(lambda one=one: one.ended, one)
        assert undisturbed.identical_to(one)


PROGRAM = """
import workbench
from workbench import emit
with workbench.session(experiment="my/script", mlflow=False) as s:
    for step in s.steps(200):
        emit("loss", float(s.rng("method", step).random()))
"""


def test_a_script_of_ones_own_is_started_again_by_its_own_command(tmp_path, store, monkeypatch):
    import subprocess

    script = tmp_path / "train.py"
    script.write_text(PROGRAM)
    subprocess.run([sys.executable, str(script)], check=True, timeout=120, cwd=tmp_path)
    [run] = Store(store).runs()
    assert run.config["run"]["command"] == [sys.executable, str(script)]
    again = run.replay()
    assert again.wait(120) == "finished", again.dir.log.read_text()
    assert run.identical_to(again)
    child = run.fork(120)
    assert child.wait(120) == "finished", child.dir.log.read_text()
    assert child["loss"].steps.tolist() == list(range(120, 200))
    assert run.identical_to(child)


def test_a_notebooks_run_says_how_it_is_forked(store):
    import workbench

    with workbench.session(experiment="my/cell", mlflow=False) as s:
        for _ in s.steps(3):
            workbench.emit("loss", 1.0)
    run = workbench.run()
    run.config["run"]["command"] = None
    with pytest.raises(WorkbenchError, match="start=False"):
        run.fork(1)
