"""Cached parts: made once, whole or not at all, whoever asks."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from workbench.cards.errors import InvalidValue, StoreError
from workbench.data.artifacts import artifact, artifacts_home

KEY = {"backbone": "cnn", "width": 16, "data": {"name": "fashion_mnist", "classes": [0, 1]}}


def test_a_part_is_made_once_and_found_again_whatever_the_order_of_its_key():
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "weights").write_text("w")

    first = artifact(KEY, make)
    assert (first / "weights").read_text() == "w"
    assert artifact(dict(reversed(KEY.items())), make) == first
    assert len(calls) == 1


def test_another_key_is_another_part():
    assert artifact(KEY, lambda folder: None) != artifact(KEY | {"width": 32}, lambda folder: None)


def test_a_maker_that_raises_leaves_nothing_and_may_be_tried_again():
    def broken(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        artifact(KEY, broken)
    assert [p.name for p in artifacts_home().iterdir() if p.is_dir()] == []
    assert not (artifact(KEY, lambda folder: None) / "half").exists()


def test_a_part_may_be_made_of_another_part():
    def outer(folder: Path) -> None:
        inner = artifact({"inner": 1}, lambda f: (f / "x").write_text("1") and None)
        (folder / "x").write_text((inner / "x").read_text() + "2")

    assert (artifact({"outer": 1}, outer) / "x").read_text() == "12"


def test_threads_that_ask_at_once_share_one_making():
    calls = []

    def make(folder: Path) -> None:
        calls.append(1)
        time.sleep(0.05)

    threads = [threading.Thread(target=artifact, args=(KEY, make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def _make_slowly(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(0.3)


def _ask(home: str) -> None:
    os.environ["WORKBENCH_ARTIFACTS"] = home
    artifact(KEY, _make_slowly)


def test_processes_that_ask_at_once_share_one_making(tmp_path):
    context = multiprocessing.get_context("spawn")
    home = tmp_path / "parts"
    makers = [context.Process(target=_ask, args=(str(home),)) for _ in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0, 0, 0]
    (part,) = (p for p in home.iterdir() if p.is_dir())
    (made_by,) = (p.name for p in part.iterdir() if p.name != "key.json")
    assert int(made_by) in {maker.pid for maker in makers}


def _die_half_way(folder: Path) -> None:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _ask_and_die(home: str) -> None:
    os.environ["WORKBENCH_ARTIFACTS"] = home
    artifact(KEY, _die_half_way)


def test_a_maker_killed_half_way_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    home = tmp_path / "parts"
    maker = multiprocessing.get_context("spawn").Process(target=_ask_and_die, args=(str(home),))
    maker.start()
    maker.join()
    assert maker.exitcode == -signal.SIGKILL
    monkeypatch.setenv("WORKBENCH_ARTIFACTS", str(home))
    assert [p.name for p in artifact(KEY, lambda folder: None).iterdir()] == ["key.json"]


@pytest.mark.parametrize("key", [{"lr": float("nan")}, {"a": object()}])
def test_a_key_that_is_no_json_is_refused_in_words(key):
    with pytest.raises(InvalidValue, match="finite JSON values"):
        artifact(key, lambda folder: None)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_ARTIFACTS", str(tmp_path / "file" / "parts"))
    with pytest.raises(StoreError, match="WORKBENCH_ARTIFACTS"):
        artifact(KEY, lambda folder: None)
