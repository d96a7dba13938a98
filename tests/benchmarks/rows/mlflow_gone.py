"""What a step costs while MLflow is locked, hangs or fails: training waits for none of it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import workbench
from tests.benchmarks.blocks import Block, Way, interleave, ratios, timed
from tests.benchmarks.figures import Row, Value, of
from tests.benchmarks.training import Training, millisecond
from workbench.runs import Store
from workbench.signals import emit
from workbench.tracking import ensure_mirror, status
from workbench.tracking.destination import connect

NUMBER = 12
NAMES = ("loss", "half", "double", "lr", "rest")

_SERVER = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
kept = []
while True:
    connection, _ = listener.accept()
    kept.append(connection)
    if sys.argv[1] == "500":
        connection.recv(1 << 20)
        connection.sendall(b"HTTP/1.1 500 Oops\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
        kept.pop().close()
"""
_LOCK = """
import sqlite3, sys
holder = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def measure(quick: bool) -> Row:
    """The same recorded loop without MLflow, with it, and with it out of order in three ways."""
    steps, rounds = (150, 2) if quick else (2_000, 12)
    training = Training(millisecond()[0])
    store = Store.find().path
    store.mkdir(parents=True, exist_ok=True)
    good, locked = (f"sqlite:///{store}/{name}.db" for name in ("good", "locked"))
    for uri in (good, locked):
        connect(uri).search_experiments()
    with _child(_SERVER, "hang") as hangs, _child(_SERVER, "500") as fails, _child(_LOCK, store / "locked.db"):
        ways = {"off": _recorded(training, steps, None)}
        for name, uri in (
            ("answers", good),
            ("locked", locked),
            ("hangs", f"http://127.0.0.1:{hangs}"),
            ("500", f"http://127.0.0.1:{fails}"),
        ):
            ways[name] = _recorded(training, steps, uri)
        mirror = ensure_mirror(store)
        for _ in range(300):
            if status(store).updated:  # its imports are not part of anybody's block
                break
            time.sleep(0.1)
        try:
            found = interleave(ways, rounds)
            failures = len((store / "mirror.log").read_text().splitlines())
        finally:
            if mirror is not None:
                os.kill(mirror, signal.SIGTERM)
    return Row(
        "A recorded loop of about 1 ms a step while MLflow is out of order, against the same loop without MLflow",
        f"{rounds} interleaved blocks of {steps:,} steps, each a run of its own with a copy in a SQLite file, in one "
        "that another process keeps locked, or on a server that hangs or answers 500; one mirror process tries to "
        "serve them all meanwhile.",
        [
            of(f"MLflow {words}, CPU of the training thread", ratios(found, name, "off", "cpu"), "×", most=1.02)
            for name, words in (("locked", "locked"), ("hangs", "hangs"), ("500", "answers 500"))
        ],
        [
            *(of(f"MLflow {n}, wall", ratios(found, n, "off"), "×") for n in ("answers", "locked", "hangs", "500")),
            Value("failures that the mirror logged meanwhile", failures, ""),
        ],
    )


def _recorded(training: Training, steps: int, uri: str | None) -> Way:
    def run(into: list[Block]) -> None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if uri:
            os.environ["MLFLOW_TRACKING_URI"] = uri
        with workbench.session(experiment="bench/gone", mlflow=uri is not None) as session:
            trained = session.steps(steps)
            with timed(steps, into):
                for _ in itertools.islice(trained, steps):
                    for name, value in zip(NAMES, training.step(), strict=True):
                        emit(name, value)
        os.environ.pop("MLFLOW_TRACKING_URI", None)

    return run


@contextmanager
def _child(code: str, argument: object) -> Iterator[str]:
    """A process that misbehaves; the line it says first."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(argument)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
