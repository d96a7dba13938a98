"""MLflow is locked, dies, hangs, fails or loses its answers: training goes on, and the copy has everything once."""

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import pytest

from tests.faults.harness import reach, start, times, until, whole
from tests.faults.proxy import before
from workbench.runs import Run
from workbench.tracking import mlflow_run_id, status
from workbench.tracking.destination import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

LOCKS, DEATHS, MOODS = times(1, 10), times(0, 5), times(2, 20)
FULL_COPY = {"tracking": "mlflow", "tracking__resolution": "full"}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An MLflow database whose tables are there already: making them takes seconds, copying them does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mirrored(store, database, monkeypatch):
    """The store, with an empty MLflow database in it; a mirror that the test starts ends with it."""
    monkeypatch.delenv("WORKBENCH_MIRROR", raising=False)
    store.mkdir(exist_ok=True)
    shutil.copy(database, store / "mlflow.db")
    yield store
    found = status(store)
    if found.running and found.pid:
        os.kill(found.pid, signal.SIGKILL)


@contextlib.contextmanager
def server(folder, database, port):
    """A real tracking server; killed with its children on the way out."""
    if not (folder / "server.db").exists():
        shutil.copy(database, folder / "server.db")
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "art")],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def up():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).status == 200

    try:
        until(up, "the tracking server")
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def told(store) -> str:
    """What the mirror says of itself."""
    return f"{status(store)}\n{(store / 'mirror.log').read_text()[-2000:]}"


def goes_on(run: Run, steps: int = 50) -> None:
    """Training does not wait."""
    reach(run, run.step + steps)


def follows(client, made: str, step: int):
    """Whether the copy has come to `step`."""
    newest = lambda: {m.key: m.step for m in client.get_run(made).data._metric_objs}  # noqa: E731 (no whole history)
    return lambda: newest().get("loss", -1) >= step


def copied(run: Run, store, client) -> dict[str, int]:
    """Every value of every curve is in MLflow exactly once, in one run; how much that is."""
    until(lambda: mlflow_run_id(run), "the copy", run)
    made = mlflow_run_id(run)
    end = {"finished": "FINISHED", "stopped": "KILLED"}[run.state]
    until(
        lambda: client.get_run(made).info.status == end,
        "the end of the copy",
        run,
        patience=600,
        say=lambda: told(store),
    )
    until(lambda: not status(store).behind, "what is left", run, patience=600, say=lambda: told(store))
    found = client.get_run(made)
    assert len(client.search_runs([found.info.experiment_id])) == 1
    values = 0
    for name in ("loss", "norm", "strength", "lr"):
        history = Counter((m.step, m.value) for m in client.get_metric_history(made, name))
        points = run[name]
        assert history == Counter(zip(points.steps.tolist(), points.values.tolist(), strict=True)), name
        values += len(points)
    artifacts = [a.path for a in client.list_artifacts(made)]
    assert artifacts.count("journal.parquet") == 1
    return {"values_copied": values, "runs_in_mlflow": 1}


def test_a_locked_database_holds_up_nothing_and_the_copy_catches_up(mirrored, tell):
    run = start(steps=10**6, **FULL_COPY)
    client = connect(f"sqlite:///{mirrored / 'mlflow.db'}")
    until(lambda: mlflow_run_id(run), "the copy", run)
    during = 0
    for number in range(LOCKS):
        with contextlib.closing(sqlite3.connect(mirrored / "mlflow.db", timeout=60, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            first = run.step
            goes_on(run, 200)
            if number % 2:  # longer than MLflow itself waits for a lock
                until(lambda: status(mirrored).error or status(mirrored).errors, "the mirror to notice", run)
            during += run.step - first
        goes_on(run)
    run.stop()
    run.wait(60)
    whole(run, 0, run.step)
    tell(
        "3a",
        "MLflow's SQLite file locked by another process",
        "training goes on; the copy catches up: every value of every curve is there once, in one MLflow run",
        locks=LOCKS, steps_meanwhile=during, steps=run.step + 1, **copied(run, mirrored, client),
    )  # fmt: skip


def test_a_server_that_fails_in_every_way_gets_everything_once(mirrored, database, tmp_path, monkeypatch, tell):
    draw, port = random.Random(3), free_port()
    with server(tmp_path, database, port), before(port) as proxy:
        client = connect(f"http://127.0.0.1:{port}")
        with monkeypatch.context() as its:  # the mirror's environment is that of the worker that starts it
            its.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{proxy.port}")
            its.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
            its.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            run = start(steps=10**6, pace=5, **FULL_COPY)
        until(lambda: mlflow_run_id(run), "the copy", run)
        during = dict.fromkeys(("500", "cut", "hang", "refuse"), 0)
        for number in range(MOODS):
            mood = [*during][number % len(during)]
            met, first = proxy.met[mood], run.step
            proxy.mood = mood
            until(lambda mood=mood, met=met: proxy.met[mood] > met, f"a request that meets '{mood}'", run)
            goes_on(run)
            time.sleep(draw.uniform(0, 0.5))
            during[mood] += run.step - first
            proxy.mood = "pass"
            met = proxy.met["pass"]
            until(lambda met=met: proxy.met["pass"] > met, "the mirror's next try", run)
        run.stop()
        run.wait(60)
        whole(run, 0, run.step)
        found = copied(run, mirrored, client)
        tell(
            "3b",
            "MLflow's server answers 500, hangs, refuses, or carries out a request whose answer is lost",
            "training goes on; the copy catches up: every value of every curve is there once, in one MLflow run",
            outages=MOODS, **{f"requests_that_met_{m}": n for m, n in proxy.met.items() if m != "pass"},
            steps_meanwhile=sum(during.values()), steps=run.step + 1, **found,
        )  # fmt: skip


@pytest.mark.skipif(not DEATHS, reason="a tracking server is killed by `make faults`; tests/tracking does it once")
def test_a_server_that_dies_and_returns_gets_everything_once(mirrored, database, tmp_path, monkeypatch, tell):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    during = 0
    run = start(steps=10**6, pace=20, **FULL_COPY)  # no faster than MLflow can follow
    for _ in range(DEATHS):
        with server(tmp_path, database, port):
            until(lambda: mlflow_run_id(run), "the copy", run)
            client, had = connect(f"http://127.0.0.1:{port}"), run.step
            made = mlflow_run_id(run)
            until(follows(client, made, had), "the copy to follow", run, patience=300, say=lambda: told(mirrored))
        first = run.step
        until(lambda: status(mirrored).error, "the mirror to notice", run)
        goes_on(run)
        during += run.step - first
    with server(tmp_path, database, port):
        run.stop()
        run.wait(60)
        whole(run, 0, run.step)
        found = copied(run, mirrored, connect(f"http://127.0.0.1:{port}"))
    tell(
        "3c",
        "MLflow's server is killed and comes back",
        "training goes on; the copy catches up: every value of every curve is there once, in one MLflow run",
        deaths=DEATHS, steps_meanwhile=during, steps=run.step + 1, **found,
    )  # fmt: skip
