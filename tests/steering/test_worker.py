"""Runs in processes of their own: launched, queued, steered from outside, killed."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.cards import Config
from workbench.runs import Store, launch, spare, start_queued
from workbench.steering.worker import noted

LONG = {"steps": 100_000, "probe_images": 20, "epoch_images": 20, "final_images": 20, "run.flush_ms": 50}


@pytest.fixture(autouse=True)
def _no_spares_and_no_mirror(monkeypatch):
    monkeypatch.setenv("WORKBENCH_SPARES", "0")


def start(**options):
    values = {**LONG, "tracking": "off", **options.pop("overrides", {})}
    return launch("certified/ibp", arm="fast", preset="smoke", overrides=values, **options)


@pytest.fixture
def run():
    made = start()
    until(lambda: made.step >= 3, made)
    yield made
    if not made.ended:
        made.stop()
    made.wait(60)


def until(true, run):
    end = time.monotonic() + 90
    while not true():
        log = run.dir.log.read_text() if run.dir.log.exists() else ""
        assert time.monotonic() < end, f"{run!r}\n{log}"
        assert run.state not in ("failed", "lost"), f"{run.message}\n{log}"
        time.sleep(0.05)


def test_a_run_is_steered_from_another_process_and_leaves_a_complete_record(run):
    record = run.wait_outcome(run.set(epsilon=0.2))
    assert (record.outcome, record.old, record.new) == ("applied", {"epsilon": 0.1}, {"epsilon": 0.2})
    until(lambda: run.step > record.step + 2, run)
    points = run["eps_target"]
    assert set(points.values[points.steps < record.step]) == {0.1}
    assert set(points.values[points.steps >= record.step]) == {0.2}
    saved = run.wait_outcome(run.checkpoint())
    until(lambda: run.step >= 0 and run.reader.checkpoints(), run)
    row = run.reader.checkpoints()[0]
    assert row.step == saved.step
    assert (run.dir.checkpoints / row.path).stat().st_size == row.size
    assert run.wait_outcome(run.stop()).outcome == "applied"
    assert run.wait(60) == "stopped"
    assert "model.network.0.weight" in run.reader.meta["weights"]
    assert run.reader.meta["environment"]["packages"]["torch"]


def test_the_worker_is_named_after_its_run(run):
    pid = run.reader.meta["pid"]
    assert Path(f"/proc/{pid}/cmdline").read_text().startswith(f"workbench {run.id}")


def test_a_killed_worker_is_lost_at_once_and_its_data_stay(run):
    step = run.step
    os.kill(run.reader.meta["pid"], signal.SIGKILL)
    end = time.monotonic() + 20
    while run.state != "lost" and time.monotonic() < end:
        time.sleep(0.02)
    assert run.state == "lost"
    assert run["loss"].steps[-1] >= step
    assert str(run.dir.log) in run.message
    with pytest.raises(workbench.cards.NotAllowed, match="is lost"):
        run.set(epsilon=0.2)


def test_more_runs_than_there_is_room_for_wait_their_turn(monkeypatch):
    monkeypatch.setenv("WORKBENCH_MAX_RUNS", "1")
    first, second = start(), start(overrides={"steps": 5})
    until(lambda: first.step >= 0, first)
    assert second.state == "queued"
    first.stop()
    until(lambda: second.ended, second)
    assert (first.state, second.state) == ("stopped", "finished")


def test_a_run_taken_by_a_spare_has_the_bits_of_a_cold_one(monkeypatch):
    cold = start(overrides={"steps": 8})
    assert cold.wait(90) == "finished"
    monkeypatch.setenv("WORKBENCH_SPARES", "1")
    spare.warm(1)
    end = time.monotonic() + 90
    while not list(spare.folder().glob(f"{spare.key()}-*.sock")) and time.monotonic() < end:
        time.sleep(0.1)
    warm = start(overrides={"steps": 8})
    assert warm.wait(60) == "finished"
    assert warm.notes.get("worker")["spare"]
    assert warm.reader.meta["weights"] == cold.reader.meta["weights"]
    assert warm["loss"].values.tolist() == cold["loss"].values.tolist()


def test_a_second_worker_for_a_run_is_refused(run):
    import subprocess
    import sys

    command = [sys.executable, "-m", "workbench.steering.worker", str(run.dir.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "Another worker" in done.stderr
    assert run.state == "running"


def test_starting_what_is_queued_twice_starts_it_once(run):
    start_queued(Store.find())
    start_queued(Store.find())
    assert run.state == "running"


def test_what_importing_torch_sets_in_the_environment_does_not_lose_the_spares(monkeypatch):
    before = spare.key()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/tmp/somewhere")
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    assert spare.key() == before
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert spare.key() != before


def test_what_a_method_warns_of_while_it_trains_is_an_event_and_what_a_library_warns_of_is_not():
    with (
        warnings.catch_warnings(record=True) as passed_on,
        workbench.session(Config(), experiment="my/idea", mlflow=False) as session,
        noted(session, "workbench"),
    ):
        warnings.simplefilter("always")
        for step in session.steps(3):
            where = {"filename": workbench.__file__, "lineno": 1, "category": UserWarning}
            warnings.warn_explicit(f"response {step} got reward 0", **where)
            warnings.warn_explicit("response 0 got reward 0", **where)
            warnings.warn_explicit("a kernel is deprecated", UserWarning, np.__file__, 1)
    assert [e.payload["text"] for e in workbench.run().reader.events(["warning"])] == [
        f"response {step} got reward 0" for step in range(3)
    ]
    assert {str(w.message) for w in passed_on} == {"a kernel is deprecated"}
