"""The mirror process: one a store, detached, never waited for, and back after an outage."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from tests.tracking.recorded import Training
from workbench.cards.errors import WorkbenchError
from workbench.journal import RunLock
from workbench.tracking import ensure_mirror, mlflow_run_id, service, status, sync
from workbench.tracking.destination import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def wait_for(condition, what, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


@pytest.fixture
def mirrored(mlflow_store, monkeypatch):
    """A store whose mirror, if the test starts one, is ended with the test."""
    monkeypatch.delenv("WORKBENCH_MIRROR", raising=False)
    yield mlflow_store
    found = status(mlflow_store)
    if found.running and found.pid:
        os.kill(found.pid, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(folder, port, database):
    """A real tracking server; killed with its children on the way out."""
    if not (folder / "server.db").exists():
        shutil.copy(database, folder / "server.db")
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "art")],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:

        def up():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).status == 200

        wait_for(up, f"the server: {(folder / 'server.log').read_text()[-500:]}", 120)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_mirror_follows_a_run_while_it_trains_and_only_one_serves_a_store(mirrored):
    training = Training(mirrored).train(50)
    pid = ensure_mirror(mirrored)
    assert pid is not None
    assert os.getsid(pid) == pid
    wait_for(lambda: mlflow_run_id(training.run), "the copy")
    assert ensure_mirror(mirrored) is None
    assert status(mirrored).pid == pid
    client = connect(f"sqlite:///{mirrored / 'mlflow.db'}")
    run_id = mlflow_run_id(training.run)
    training.train(50)
    wait_for(lambda: len(client.get_metric_history(run_id, "loss")) == 99, "every step but the newest")
    training.end()
    wait_for(lambda: client.get_run(run_id).info.status == "FINISHED", "the end")
    assert client.get_run(run_id).data.metrics["loss"] == training.run["loss"].values[-1]
    assert sync(mirrored).behind == 0  # waits for the one that serves, and starts no second


def test_a_second_mirror_process_leaves_at_once(mirrored):
    mirrored.mkdir(exist_ok=True)
    with RunLock.acquire(mirrored / "mirror.lock"):
        done = subprocess.run([sys.executable, "-m", "workbench.tracking.mirror", str(mirrored)], timeout=60)
    assert done.returncode == 0


def test_a_mirror_that_is_not_wanted_is_not_started(mirrored, monkeypatch):
    monkeypatch.setenv("WORKBENCH_MIRROR", "0")
    assert ensure_mirror(mirrored) is None
    assert not status(mirrored).running


def test_a_mirror_without_work_leaves(mirrored, monkeypatch):
    Training(mirrored).train(5).end()
    sync(mirrored)
    monkeypatch.setattr(service, "IDLE_S", 0.0)
    monkeypatch.setattr(service, "TICK_S", 0.0)
    service.Mirror(service.Store(mirrored)).serve()


def test_a_run_with_unreadable_settings_stops_no_other(mirrored):
    good, bad = Training(mirrored).train(5).end(), Training(mirrored).train(5).end()
    bad.dir.config.write_text("- not a mapping")
    said = sync(mirrored)
    assert mlflow_run_id(good)
    assert bad.id in said.errors


def test_training_goes_on_without_a_server_and_everything_arrives_when_it_is_back(
    mirrored, empty_database, tmp_path, monkeypatch
):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    training = Training(mirrored).train(50)
    with pytest.raises(WorkbenchError, match=r"does not answer.*workbench sync"):
        sync(mirrored)
    with server(tmp_path, port, empty_database):
        ensure_mirror(mirrored)
        wait_for(lambda: mlflow_run_id(training.run), "the copy")
    training.train(50, bound=lambda s: s * float("inf"))
    wait_for(lambda: status(mirrored).error, "the mirror to notice")
    assert f"http://127.0.0.1:{port}" in str(status(mirrored))
    training.train(50).end("stopped")
    with server(tmp_path, port, empty_database):
        client = connect(f"http://127.0.0.1:{port}")
        run_id = mlflow_run_id(training.run)
        wait_for(lambda: client.get_run(run_id).info.status == "KILLED", "the end of the run")
        wait_for(lambda: not status(mirrored).behind, "the artifacts")
        assert len(client.get_metric_history(run_id, "loss")) == 150
        assert "journal.parquet" in {a.path for a in client.list_artifacts(run_id)}
        assert len(client.search_runs([client.get_run(run_id).info.experiment_id])) == 1


@pytest.mark.parametrize("behaviour", ["hangs", "answers 500"])
def test_a_server_that_hangs_or_fails_is_given_up_soon_and_named(mirrored, monkeypatch, behaviour):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    kept.append(connection)  # a hanging server: accepted, never answered
                    if behaviour == "answers 500":
                        connection.recv(65_536)
                        connection.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        Training(mirrored).train(5)
        with pytest.raises(WorkbenchError, match="does not answer"):
            sync(mirrored)
        for connection in kept:
            connection.close()
        listener.shutdown(socket.SHUT_RDWR)
