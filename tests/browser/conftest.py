"""A JupyterLab as `workbench lab` starts it, on copies of the notebooks, and a page in a real Chromium."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
OUTPUT = Path(__file__).parent / "output"
CHROMIUM = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


class Lab:
    """A running server: its address, its folder, its store."""

    def __init__(self, url: str, folder: Path, store: Path) -> None:
        self.url, self.folder, self.store = url, folder, store

    def notebook(self, name: str) -> str:
        """The address of a notebook, in a workspace of its own: no two tests share a layout."""
        base, token = self.url.split("/lab", 1)[0], self.url.rsplit("token=", 1)[1]
        return f"{base}/lab/workspaces/{uuid.uuid4().hex}/tree/{name}?token={token}"


def _free_port() -> int:
    """A port that nobody else takes meanwhile: two of the tests' processes start a server at the same moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One server, its workers and one browser at a time: two would only wait for each other on two cores."""
    with (tmp_path_factory.getbasetemp().parent / "browser.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def lab(_alone: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server, a store and fresh notebooks for each module: a test counts the runs it finds."""
    folder = tmp_path_factory.mktemp("lab")
    store = folder / ".workbench"
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "rt",
    }
    env = os.environ | {k: str(folder / "jupyter" / v) for k, v in own.items()}
    env |= {"WORKBENCH_HOME": str(store), "WORKBENCH_SPARES": "2"}
    log = folder / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", "--no-browser", "--port", str(_free_port())],
            cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + 120
        while not (found := re.search(r"http://\S+token=\w+", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield Lab(found.group(), folder, store)
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
        _stop_runs(store)


def _stop_runs(store: Path) -> None:
    from workbench.runs import Store

    for run in Store(store).runs(active=True):
        run.stop()
        run.wait(30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    made = context.new_page()
    made.set_default_timeout(60_000)
    made.problems = []  # what the page threw
    made.on("pageerror", lambda error: made.problems.append(str(error)))
    yield made
    OUTPUT.mkdir(exist_ok=True)
    made.screenshot(path=OUTPUT / f"{request.node.name}-last.png")
    context.close()
