"""The command line, as typed: what it prints, and what it says of mistakes (one sentence, exit 2)."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from workbench.cli import main
from workbench.runs import Store


def type_(*words):
    return CliRunner().invoke(main, list(words))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A store with one run that trains until it is told otherwise."""
    home = tmp_path_factory.mktemp("cli") / "store"
    patch = pytest.MonkeyPatch()
    patch.setenv("WORKBENCH_HOME", str(home))
    words = ["run", "certified/ibp", "arm=fast", "preset=smoke", "steps=100000", "tracking=off", "--detach"]
    done = subprocess.run([sys.executable, "-m", "workbench", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    run = Store(home).run(done.stdout.strip())
    end = time.monotonic() + 120
    while run.step < 1:
        assert time.monotonic() < end
        assert not run.ended, run.message
        time.sleep(0.1)
    yield run
    if not run.ended:
        run.stop()
    run.wait(30)
    patch.undo()


@pytest.fixture
def here(training, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(training.dir.path.parent))
    return training


def test_list_names_every_experiment_with_what_its_card_declares():
    rows = json.loads(type_("list", "--json").stdout)
    ibp = next(r for r in rows if r["id"] == "certified/ibp")
    assert set(ibp) == {
        "id", "family", "paper", "phenomenon", "remedy", "arms", "presets", "controls", "signals", "claims",
    }  # fmt: skip
    assert "certified/ibp" in type_("list").stdout


def test_runs_of_an_empty_store_say_how_to_start_one():
    assert "workbench run certified/ibp" in type_("runs").stdout
    assert json.loads(type_("runs", "--json").stdout) == []


def test_runs_as_json(here):
    [row] = json.loads(type_("runs", "--json").stdout)
    assert set(row) == {
        "id", "experiment", "state", "step", "steps", "started", "parent", "seed", "arm", "pid", "mlflow_run_id",
        "store",
    }  # fmt: skip
    assert (row["experiment"], row["arm"], row["state"], row["steps"]) == ("certified/ibp", "fast", "running", 100000)
    assert here.id in type_("runs").stdout.replace("\n", "")


def test_a_control_is_set_and_the_outcome_told(here):
    done = type_("set", here.id, "epsilon=0.2")
    assert done.exit_code == 0, done.stderr
    assert "epsilon 0.1 → 0.2 applied at step" in done.stdout


def test_a_run_is_paused_stepped_and_resumed(here):
    assert "pause applied at step" in type_("pause", here.id).stdout
    assert "step applied at step" in type_("step", here.id, "2").stdout
    assert "resume applied at step" in type_("resume", here.id).stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["set", "{run}", "epsilon=8"], "epsilon must lie between 0 and"),
        (["set", "{run}", "epsilon=nan"], "epsilon must be a finite number"),
        (["set", "{run}", "epsilom=0.1"], "Did you mean 'epsilon'"),
        (["set", "{run}", "width=16"], "start a new run"),
        (["set", "{run}", "epsilon"], "write name=value"),
        (["do", "{run}", "shock"], "no action 'shock'"),
        (["resume", "{run}"], "the run is not paused"),
        (["set", "nosuchrun", "epsilon=0.1"], "There is no run 'nosuchrun'"),
        (["run", "certified/ipb"], "Did you mean 'certified/ibp'"),
        (["run", "certified/ibp", "arm=fats"], "Did you mean 'fast'"),
        (["run", "certified/ibp", "preset=tuor"], "Did you mean 'tour'"),
        (["run", "certified/ibp", "epsilon=eight"], "epsilon must be a number"),
        (["stopp", "{run}"], "Did you mean 'stop'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(here, words, says):
    done = type_(*(w.format(run=here.id) for w in words))
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.output


def test_an_unwritable_store_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "store"))
    done = type_("run", "certified/ibp", "preset=smoke", "--detach")
    assert done.exit_code == 2
    assert "WORKBENCH_HOME" in done.stderr


def test_a_stopped_run_takes_no_commands(here):
    assert "stop applied at step" in type_("stop", here.id).stdout
    here.wait(30)
    done = type_("set", here.id, "epsilon=0.1")
    assert done.exit_code == 2
    assert "is stopped, so it takes no commands" in done.stderr
    assert "stopped" in type_("watch", here.id).stdout
