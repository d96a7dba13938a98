"""The command line, as typed: what it prints, and what it says of mistakes (one sentence, exit 2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from tests.runs.recorded import Recorded
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
        "store", "fork_step", "replay_of", "name", "star", "archived",
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


# -- time travel: real workers ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store with one finished run, made by a program of somebody's own that writes what no replay can repeat."""
    home = tmp_path_factory.mktemp("travel") / "store"
    script = home.parent / "mine.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return Store(home).run("latest")


PROGRAM = """
import os
import workbench
from dataclasses import dataclass
from workbench.cards import Config, control

@dataclass
class Knobs(Config):
    epsilon: float = control(0.1, min=0, max=1)

config = Knobs(steps=30)
with workbench.session(config, experiment="my/idea", mlflow=False) as session:
    for step in session.steps(30):
        workbench.emit("box", step * config.epsilon)
        workbench.emit("luck", int.from_bytes(os.urandom(4), "little") if step >= 12 else 0)
"""


@pytest.fixture
def there(finished, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(finished.dir.path.parent))
    return finished


def test_a_replay_whose_bits_differ_names_the_first_difference_and_exits_1(there):
    done = type_("replay", there.id)
    assert done.exit_code == 1, done.stderr
    assert "They differ first at step 12 in luck:" in done.stdout
    assert "(1 of " in done.stdout


def test_a_fork_goes_its_own_way_from_its_step_on(there):
    done = type_("fork", there.id, "20", "epsilon=0.5", "--name", "wide", "--json")
    assert done.exit_code == 0, done.stderr
    row = json.loads(done.stdout)
    assert (row["parent"], row["fork_step"]) == (there.id, 20)
    child = Store.find().run(row["id"])
    assert child.state == "finished"
    assert child["box"].values.tolist() == [s * 0.5 for s in range(20, 30)]
    assert child.history("box").values.tolist() == [s * 0.1 for s in range(20)] + [s * 0.5 for s in range(20, 30)]
    told = json.loads(type_("compare", there.id, child.id, "--json").stdout)
    assert told["aligned_at"] == 20
    assert [r["text"] for r in told["interventions"]["b_only"]] == ["epsilon 0.1 → 0.5"]
    assert "fork at step 20" in type_("runs", "--tree").stdout


def test_a_stopped_run_is_resumed_and_a_finished_one_is_not(there):
    done = type_("resume", there.id)
    assert done.exit_code == 2
    assert "has finished" in done.stderr


def test_a_replay_of_an_experiment_is_identical_and_a_stopped_run_resumes_to_the_same_end(training, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(training.dir.path.parent))
    words = ["run", "certified/ibp", "arm=fast", "preset=smoke", "tracking=off", "--json"]
    whole = json.loads(type_(*words).stdout)["id"]
    done = type_("replay", whole)
    assert done.exit_code == 0, done.output
    assert "Identical: " in done.stdout
    assert "weight tensors, to the bit." in done.stdout
    held = type_("fork", whole, "3", "--paused").stdout.strip()
    child = Store.find().run(held)
    end = time.monotonic() + 120
    while child.state != "paused":
        assert time.monotonic() < end
        assert not child.ended, child.message
        time.sleep(0.05)
    assert type_("stop", held).exit_code == 0
    assert child.wait(60) == "stopped"
    done = type_("resume", held)
    assert done.exit_code == 0, done.stderr
    assert f"{held} goes on from" in done.stdout
    assert child.wait(120) == "finished"
    assert Store.find().run(whole).identical_to(child), str(Store.find().run(whole).identical_to(child))


# -- side by side, and keeping house: recorded runs -------------------------------------------------------------------


def test_two_runs_side_by_side():
    a = Recorded().move(1, 10, epsilon=0.2).train(100).end()
    b = Recorded(config={"epsilon": 0.3}).train(100).end()
    shown = type_("compare", a.id, b.id).stdout
    assert "Identical: 1 signal over 100 steps, to the bit." in shown
    assert "epsilon" in shown
    assert "The other" in shown
    assert "epsilon 0.1 → 0.2" in shown
    assert json.loads(type_("compare", a.id, b.id, "--json").stdout)["config"]["differing"] == [["epsilon", 0.1, 0.3]]


def test_the_tree_of_runs_hides_what_is_archived_until_asked():
    first = Recorded().train(10).end()
    fork = Recorded(first=4, parent=first.id, fork_step=4).end()
    deep = Recorded(first=6, parent=fork.id, fork_step=6).end()
    replay = Recorded(replay_of=first.id).end()
    [root] = json.loads(type_("runs", "--tree", "--json").stdout)
    assert root["id"] == first.id
    assert [c["id"] for c in root["children"]] == [replay.id, fork.id]
    assert root["children"][1]["children"][0]["id"] == deep.id
    lines = type_("runs", "--tree").stdout.splitlines()
    assert lines[0].startswith(first.id)
    assert lines[1].startswith(f"├─ {replay.id}")
    assert lines[2].startswith(f"└─ {fork.id}")
    assert lines[3].startswith(f"   └─ {deep.id}")
    assert type_("archive", replay.id).exit_code == 0
    assert replay.id not in type_("runs").stdout
    assert "1 archived, see them with --all" in " ".join(type_("runs").stdout.split())
    assert replay.id in type_("runs", "--all").stdout
    assert type_("archive", replay.id, "--off").exit_code == 0
    assert replay.id in type_("runs").stdout


def test_a_run_is_named_starred_and_noted():
    run = Recorded().end()
    assert type_("name", run.id, "the good one").exit_code == 0
    assert type_("star", run.id).exit_code == 0
    assert type_("note", run.id, "lr too high?").exit_code == 0
    assert type_("note", run.id).stdout == "lr too high?\n"
    assert f"{run.id}  ★ the good one  finished" in type_("runs", "--tree").stdout
    [row] = json.loads(type_("runs", "--json").stdout)
    assert (row["name"], row["star"], row["archived"]) == ("the good one", True, False)
    assert type_("name", run.id, "--clear").exit_code == 0
    assert type_("name", run.id).stdout == "\n"
    assert "at most 80 characters" in type_("name", run.id, "x" * 81).stderr


def test_a_run_is_deleted_once_confirmed_and_never_while_it_trains():
    run = Recorded().train(10).end()
    assert CliRunner().invoke(main, ["delete", run.id], input="n\n").exit_code == 1
    assert run.dir.path.exists()
    assert "deleted" in type_("delete", run.id, "--yes").stdout
    assert not run.dir.path.exists()
    training = Recorded().train(10)
    done = type_("delete", training.run.id, "--yes")
    assert done.exit_code == 2
    assert "stop it first" in done.stderr
    training.end()


def test_gc_tells_what_would_go_and_then_removes_it():
    run = Recorded().train(10).checkpoint(5).end()
    left = run.dir.checkpoints / "step000000009-0-1.part"
    left.write_bytes(b"x" * 2500)
    shown = type_("gc", "--dry-run").stdout
    assert run.id in shown
    assert "2.5 kB would be given back." in shown
    assert left.exists()
    told = json.loads(type_("gc", "--json").stdout)
    assert [(r["run"], r["what"]) for r in told["removed"]] == [(run.id, "unfinished checkpoints")]
    assert (told["bytes"], told["disk"]["checkpoints"]) == (2500, 1000)
    assert not left.exists()
    assert "nothing to remove" in type_("gc").stdout
