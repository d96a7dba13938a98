"""`workbench lab`: a real JupyterLab, quiet, on the notebook, with its address printed, gone on Ctrl-C."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import lab
from workbench.cards.errors import MissingData, NotAllowed, StoreError

START = "import sys; from workbench import lab; sys.exit(lab.start(browser=False))"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_it_serves_the_tour_without_dialogs_and_ends_on_ctrl_c(tmp_path, store):
    (tmp_path / "notebooks").mkdir()
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "notebooks" / "00_tour.ipynb").write_text(json.dumps(empty))
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", START], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        url = re.search(r"http://\S+", said).group()
        assert url.partition("?")[0].endswith("/lab/tree/notebooks/00_tour.ipynb")
        assert f"mlflow ui --backend-store-uri sqlite:///{store}" in said
        with urllib.request.urlopen(url) as page:
            text = page.read().decode()
        settings = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', text, re.DOTALL).group(1))
        assert settings["buildAvailable"] is False
        assert settings["buildCheck"] is False
        assert settings["news"] == {"disabled": True}
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url.partition("/lab")[0] + "/api/contents")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert lab.port_is_free(int(re.search(r":(\d+)/", url).group(1)))
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_a_port_that_was_asked_for_and_is_in_use_is_refused(taken):
    with pytest.raises(NotAllowed, match=f"Port {taken} is in use"):
        lab.start(port=taken)


def test_without_a_port_the_next_free_one_is_taken(taken):
    assert taken < lab.free_port(taken) < taken + 100


def test_a_notebook_that_does_not_exist_is_named():
    with pytest.raises(MissingData, match=r"no notebook .*nowhere\.ipynb"):
        lab.start(Path("nowhere.ipynb"))


def test_a_notebook_outside_the_served_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there.ipynb").touch()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(NotAllowed, match="outside the served folder"):
        lab.start(Path("../there.ipynb"))


def test_a_store_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "store"))
    with pytest.raises(StoreError, match="WORKBENCH_HOME"):
        lab.start()


def test_a_browser_opens_only_where_there_is_a_screen(monkeypatch):
    if sys.platform != "darwin":
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        assert lab.has_screen() is False


def test_a_server_that_cannot_start_says_its_last_words(tmp_path):
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "jupyter_server_config.py").write_text("raise SystemExit('a broken configuration')")
    done = subprocess.run([sys.executable, "-c", START], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "did not come up" in done.stderr
