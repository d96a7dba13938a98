"""The disk is full, in earnest: training goes on, it is said in words, and nothing that can be kept is lost."""

import contextlib
import ctypes
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.faults.harness import answered, kill_all, names, reach, start, times, until, whole
from workbench.cards.errors import StoreError, WorkbenchError
from workbench.runs import Store
from workbench.tracking import mlflow_run_id, sync
from workbench.tracking.destination import connect

FILLS = times(1, 20)
_libc = ctypes.CDLL(None, use_errno=True)


def mount(folder: Path, megabytes: int) -> None:
    done = _libc.mount(b"faults", os.fsencode(folder), b"tmpfs", 0, f"size={megabytes}m".encode())
    if done:
        pytest.skip(f"a small disk can only be mounted by root here: {os.strerror(ctypes.get_errno())}")


@pytest.fixture
def disk(tmp_path):
    """Makes small disks: a folder whose file system holds so many megabytes."""
    made = []

    def make(megabytes):
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        mount(folder, megabytes)
        made.append(folder)
        return folder

    yield make
    kill_all()
    for folder in made:
        _libc.umount2(os.fsencode(folder), 2)  # lazily: a process that is being killed may still hold a file


@contextlib.contextmanager
def full(folder: Path, leave: int = 0):
    """The disk is full within it, but for `leave` bytes."""
    ballast = folder / "ballast"
    free = shutil.disk_usage(folder).free - leave
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while free > 0:
            free -= file.write(b"x" * min(free, 1 << 16))
    try:
        yield
    finally:
        ballast.unlink()


def still(run) -> bool:
    """Whether nothing more reaches the journal."""
    at = run.step
    time.sleep(0.5)
    return run.step == at


def test_steps_trained_while_the_disk_was_full_are_all_recorded_when_it_is_not(disk, monkeypatch, tell):
    folder = disk(16)
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "store"))
    run = start(steps=10**6)
    reach(run, 50)
    trained = issued = refused = 0
    for _ in range(FILLS):
        with full(folder):
            until(lambda: still(run), "the disk to be full for the journal", run)
            since = time.time()
            try:
                run.set(strength=7.0)
                issued += 1
            except StoreError as error:
                names(error, "disk is full")
                refused += 1
            time.sleep(0.5)
            until_ = time.time()
        reach(run, run.step + 50)
        when = run["loss"].times
        trained += int(((when > since) & (when < until_)).sum())
        assert trained > 0
        record = run.wait_outcome(run.set(strength=1.0))
        issued += 1
        assert record.outcome == "applied"
    issued += 1
    run.stop()
    assert run.wait(60) == "stopped"
    whole(run, 0, run.step)
    answered(run, issued)
    assert [text for text in warnings(run) if "disk is full" in text]
    tell(
        "4a",
        "the disk is full for the journal",
        "training goes on, the run says why, a command that cannot be kept is refused; all steps are recorded later",
        times_full=FILLS, steps_trained_meanwhile=trained, commands_refused=refused, steps=run.step + 1, steps_lost=0,
    )  # fmt: skip


def ask_for_a_checkpoint(run) -> None:
    assert run.wait_outcome(run.checkpoint()).outcome == "applied"


def known(run) -> int:
    """How many checkpoints the journal knows by now."""
    run.refresh()
    return len(run.reader.checkpoints())


def test_a_checkpoint_without_room_is_named_or_takes_the_place_of_an_older_one(disk, monkeypatch, tell):
    folder = disk(32)
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "store"))
    without_room = in_place_of_older = 0
    for _ in range(FILLS):
        run = start(steps=10**6, width=12_000, run__checkpoint_seconds=86_400)  # 3 MB each, when asked for
        reach(run, 5)
        with full(folder, leave=700_000):
            ask_for_a_checkpoint(run)
            until(lambda run=run: [t for t in warnings(run) if "could not be written" in t], "the warning", run)
            assert known(run) == 0
            reach(run, run.step + 20)
            without_room += 1
        for number in (1, 2):
            ask_for_a_checkpoint(run)
            until(lambda run=run, number=number: known(run) == number, "a checkpoint", run)
        with full(folder, leave=700_000):
            ask_for_a_checkpoint(run)
            until(lambda run=run: known(run) == 3, "a checkpoint in the place of an older one", run)
            in_place_of_older += 1
        run.stop()
        assert run.wait(60) == "stopped"
        whole(run, 0, run.step)
        newest = run.reader.checkpoints()[-1]
        assert (run.dir.checkpoints / newest.path).stat().st_size == newest.size
        assert not list(run.dir.checkpoints.glob("*.part"))
        run.reader.close()
        shutil.rmtree(run.dir.checkpoints)
    tell(
        "4b",
        "the disk is full for a checkpoint",
        "training goes on; the run names the missing checkpoint, or gives up an older one for it; no half file stays",
        without_room=without_room, in_the_place_of_an_older_one=in_place_of_older,
    )  # fmt: skip


def warnings(run) -> list[str]:
    run.refresh()
    return [event.payload["text"] for event in run.reader.events(["warning"])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_full_disk_for_mlflow_holds_up_nothing_and_the_copy_is_made_later(disk, monkeypatch, tell):
    folder = disk(64)  # room for every value at last
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    client = connect(f"sqlite:///{folder}/mlflow.db")
    client.search_experiments()
    run = start(steps=10**6, tracking="mlflow", tracking__resolution="full")
    failures = 0
    for _ in range(FILLS):
        with full(folder):
            reach(run, run.step + 100)
            with pytest.raises(WorkbenchError):
                said = sync()
                raise WorkbenchError(str(said.errors)) if said.errors else AssertionError("it was copied")
            failures += 1
        assert sync().errors == {}
    run.stop()
    assert run.wait(60) == "stopped"
    assert sync().errors == {}
    made = mlflow_run_id(run)
    points = run["loss"]
    history = client.get_metric_history(made, "loss")
    assert sorted((m.step, m.value) for m in history) == list(zip(points.steps.tolist(), points.values.tolist(),
                                                                  strict=True))  # fmt: skip
    whole(run, 0, run.step)
    tell(
        "4c",
        "the disk is full for MLflow",
        "training goes on; the copy is made when there is room: every value once",
        times_full=FILLS, copies_that_failed=failures, steps=run.step + 1, values_copied=len(history),
    )  # fmt: skip


def test_a_store_without_room_refuses_a_run_in_words(disk, monkeypatch):
    folder = disk(1)
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "store"))
    Store.find().path.mkdir()
    with full(folder), pytest.raises(WorkbenchError, match=r"[Nn]o space|full"):
        start(steps=10)
