"""Checkpoints: what is kept of a state, how they are written, and which go when there are too many."""

from __future__ import annotations

import collections
import ctypes
import math
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import workbench
from workbench import emit
from workbench.cards import StoreError
from workbench.runs import Run, Store
from workbench.steering.checkpoints import MOST, Kept, surplus
from workbench.steering.snapshot import Snapshots, read, write

# -- which stay -------------------------------------------------------------------------------------------------------


def kept_after(steps, sizes, budget, kinds=("periodic",)):
    """The checkpoints that stay when they come one after the other."""
    kept: list[Kept] = []
    for i, step in enumerate(steps):
        kept.append(Kept(step, Path(f"{i}.pt"), sizes[i % len(sizes)], kinds[i % len(kinds)]))
        for victim in surplus(kept, budget):
            kept.remove(victim)
    return kept


@given(st.integers(1, 40), st.integers(2, 700))
def test_many_are_kept_dense_near_the_end_and_sparser_the_older_they_are(every, count):
    steps = [every * (i + 1) for i in range(count)]
    kept = [k.step for k in kept_after(steps, [1], math.inf)]
    assert len(kept) == min(count, MOST)
    assert kept[-8:] == steps[-8:]
    for step in range(0, steps[-1], every):  # a fork anywhere trains few steps again, for how long ago it lies
        start = max((k for k in kept if k <= step), default=0)
        assert step - start <= every + 0.1 * (steps[-1] - step)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=80),
    st.lists(st.integers(1, 100), min_size=1, max_size=5),
    st.integers(0, 1000),
    st.permutations(["periodic", "asked", "stop"]),
)
def test_the_budget_is_kept_the_newest_stays_and_a_forks_first_state_never_goes(gaps, sizes, budget, kinds):
    steps = np.cumsum(gaps).tolist()
    first = Kept(0, Path("fork.pt"), 10, "fork")
    kept = [first]
    for i, step in enumerate(steps):
        newest = Kept(step, Path(f"{i}.pt"), sizes[i % len(sizes)], kinds[i % 3])
        kept.append(newest)
        gone = surplus(kept, budget)
        kept = [k for k in kept if k not in gone]
        assert first in kept
        assert newest in kept
        assert sum(k.size for k in kept) <= budget or kept == [first, newest]


def test_those_somebody_asked_for_outlast_those_taken_by_the_clock():
    kept = kept_after(range(1, 21), [10], 100, ("periodic", "asked"))
    assert {k.kind for k in kept if k.step < 20} == {"asked"}
    assert len(kept) == 10


# -- what is kept of a state ------------------------------------------------------------------------------------------

_leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=9), st.binary(max_size=9),
    st.complex_numbers(), st.sampled_from(["float32", "int64", "bool", "complex128", "uint32", "float16"]).map(
        lambda kind: np.arange(6).astype(kind).reshape(2, 3)),
    st.just(np.array(2.5)), st.just(np.arange(6.0)[::-2]), st.floats().map(np.float64),
    st.integers(0, 5).map(lambda n: torch.arange(n, dtype=torch.bfloat16)), st.just(torch.tensor(7)),
)  # fmt: skip
_keys = st.one_of(st.text(max_size=5), st.integers(), st.booleans())
_trees = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=3).map(tuple), st.dictionaries(_keys, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(a, b) -> bool:
    if isinstance(a, np.generic):
        a = a.item()
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or a != a


@given(_trees)
def test_tensors_arrays_and_plain_data_come_back_as_they_were(tree):
    path = Path(os.environ["WORKBENCH_HOME"]).parent / "one.pt"
    snapshots = Snapshots()
    _, digest = write(snapshots.take({"state": tree}), path)
    assert same(tree, read(path, digest)["state"])
    assert not snapshots.left_out


def test_counters_and_ordered_dicts_of_schedules_survive(tmp_path):
    tree = {"milestones": collections.Counter([5, 9, 9]), "ordered": collections.OrderedDict(a=1)}
    _, digest = write(Snapshots().take(tree), tmp_path / "one.pt")
    back = read(tmp_path / "one.pt", digest)
    assert back == {"milestones": collections.Counter({5: 1, 9: 2}), "ordered": {"a": 1}}
    assert list(back["milestones"].elements()) == [5, 9, 9]


def test_what_is_no_plain_data_is_left_out_and_named():
    snapshots = Snapshots()
    tree = {
        "a": {"set": {1}, 3: object(), (1, 2): 4},
        "date": np.datetime64("2026-01-01"), "long": np.longdouble(1), "wide": np.zeros(2, np.longdouble),
        "swapped": np.zeros(2, ">f8"), "thin": torch.eye(2).to_sparse(), "words": np.array(["a"]),
    }  # fmt: skip
    copy = snapshots.take(tree)
    assert copy["a"] == {"set": None, 3: None}
    assert next(iter(copy["swapped"].values())).dtype == torch.float64
    assert snapshots.left_out == {
        "a.set": "set", "a.3": "object", "a.(1, 2)": "a key of type tuple", "date": "date", "long": "longdouble",
        "wide": "ndarray", "thin": "Tensor", "words": "ndarray",
    }  # fmt: skip


def test_a_copy_does_not_move_with_its_source_and_its_memory_is_used_again():
    snapshots = Snapshots()
    tree = {"weights": torch.zeros(3, 4), "array": np.zeros(5)}
    first = snapshots.take(tree)
    places = [t.data_ptr() for t in _tensors(first)]
    tree["weights"] += 1
    tree["array"] += 1
    assert all(t.sum() == 0 for t in _tensors(first))
    second = snapshots.take(tree)
    assert [t.data_ptr() for t in _tensors(second)] == places
    assert all(t.sum() == t.numel() for t in _tensors(second))
    tree["weights"] = torch.zeros(4, 4)  # of another shape
    assert snapshots.take(tree)["weights"].shape == (4, 4)


def _tensors(copy):
    return [copy["weights"], *copy["array"].values()]


# -- files ------------------------------------------------------------------------------------------------------------


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    "make",
    [torch.save, lambda tree, file: file.write_bytes(pickle.dumps(tree, 2))],
    ids=["as torch saves", "as pickle does"],
)
def test_a_file_that_holds_code_is_refused_and_the_code_does_not_run(make, tmp_path, monkeypatch):
    import hashlib

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trap.pt"
    make({"state": Trap()}, path)
    with pytest.raises(StoreError, match="holds more than tensors"):
        read(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert not Path("sprung").exists()


def test_a_file_that_is_not_the_recorded_one_is_refused(tmp_path):
    path = tmp_path / "one.pt"
    _, digest = write({"a": torch.zeros(9)}, path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="damaged"):
        read(path, digest)


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(Exception, match="pickle"):
        write({"a": lambda: 0}, tmp_path / "one.pt")
    assert not list(tmp_path.iterdir())


# -- in a run ---------------------------------------------------------------------------------------------------------

_PROGRAM = """
import os, signal, sys
import torch
import workbench
from workbench import emit
from workbench.journal import Writer

def main(size=1000, steps=40, each=lambda s, step: None, **options):
    with workbench.session(experiment="my/saved", mlflow=False, detectors=(), **options) as s:
        torch.manual_seed(0)
        model = torch.nn.Linear(size, 1)
        s.register(model=model)
        for step in s.steps(steps):
            each(s, step)
            with torch.no_grad():
                model.weight.mul_(0.9).add_(torch.rand(1, size))
            emit("norm", model.weight.norm())
"""


def here(code):
    """Run the program in this process: what takes no killing need not import torch anew."""
    exec(_PROGRAM + code, {})


def program(code, tmp_path, **environment):
    (tmp_path / "program.py").write_text(_PROGRAM + code)
    return subprocess.run(
        [sys.executable, tmp_path / "program.py"], capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": str(Path(workbench.__file__).parents[1]), **environment},
    )  # fmt: skip


def runs() -> list[Run]:
    return Store.find().runs()[::-1]


_KILL_IN = {
    "the write": "torch.save = lambda tree, file: (file.write(b'half'), file.flush(), os.kill(os.getpid(), 9))",
    "the rename": "import pathlib; pathlib.Path.replace = lambda *a: os.kill(os.getpid(), 9)",
    "the record": "Writer.checkpoint = lambda *a: os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("moment", _KILL_IN)
def test_a_kill_in_a_checkpoint_leaves_no_half_file_under_its_name_and_the_run_goes_on(moment, tmp_path):
    save = "def each(s, step):\n    if step == 10: s.checkpoint(); s.keeper.wait()\n"
    kill = f"    if step == 20:\n        {_KILL_IN[moment]}\n        s.checkpoint(); s.keeper.wait()\n"
    here(f"{save}main(each=each)")
    assert program(f"{save}{kill}main(each=each)", tmp_path).returncode == -signal.SIGKILL
    whole, killed = runs()
    assert killed.state == "lost"
    assert [c.step for c in killed.checkpoints] == [10]
    there = {p.name: p for p in killed.dir.checkpoints.iterdir()}
    assert len([n for n in there if n.endswith(".part")]) == (moment != "the record")
    for name, path in there.items():
        if name.endswith(".pt"):
            assert torch.load(path, weights_only=True)["step"] in (10, 20)
    here(f"{save}main(each=each, resume={killed.id!r})")
    found = whole.identical_to(killed)
    assert found, str(found)
    assert not list(killed.dir.checkpoints.glob("*.part"))


def test_a_budget_that_is_moved_while_it_trains_is_kept_from_the_next_checkpoint_on():
    sizes = {}
    with workbench.session(experiment="my/saved", mlflow=False, detectors=()) as s:
        s.register(model=torch.nn.Linear(50_000, 1))  # 0.2 MB
        run = workbench.run()
        run.set({"run.checkpoint_every": 1})
        run.set({"run.checkpoint_mb": 0.7}, at_step=20)
        for step in s.steps(40):
            s.keeper.wait()
            sizes[step] = sum(p.stat().st_size for p in s.rundir.checkpoints.glob("*.pt"))
            emit("step", step)
    assert sizes[19] > 17 * 200_000
    assert max(sizes[step] for step in range(21, 40)) <= 0.7 * 2**20
    assert [c.step for c in run.checkpoints][-1] == 39
    assert len(run.checkpoints) == 3


def test_a_state_that_appears_while_it_trains_and_cannot_be_kept_is_named():
    class Memory:
        seen: object = None

        def state_dict(self):
            return {"seen": self.seen}

        def load_state_dict(self, state):
            self.seen = state["seen"]

    memory = Memory()
    with workbench.session(experiment="my/saved", mlflow=False, detectors=()) as s:
        s.register(model=torch.nn.Linear(1, 1), memory=memory)
        for step in s.steps(4):
            memory.seen = {step}
            s.checkpoint()
    said = [e.payload["text"] for e in workbench.run().reader.events(["warning"])]
    assert len(said) == 1
    assert "memory.seen is a set, which no checkpoint holds" in said[0]


@pytest.fixture
def disk(tmp_path):
    """A folder whose file system holds 7 MB."""
    folder, libc = tmp_path / "disk", ctypes.CDLL(None, use_errno=True)
    folder.mkdir()
    if libc.mount(b"checkpoints", os.fsencode(folder), b"tmpfs", 0, b"size=7m"):
        pytest.skip(f"a small disk can only be mounted by root here: {os.strerror(ctypes.get_errno())}")
    yield folder
    libc.umount2(os.fsencode(folder), 2)


def test_when_the_disk_is_full_older_ones_go_then_it_is_said_once_and_training_goes_on(disk, capsys):
    code = f"""
from pathlib import Path
disk = Path({str(disk)!r})

class Growing:
    size = 0
    def state_dict(self):
        return {{"more": torch.zeros(self.size)}}
    def load_state_dict(self, state):
        pass

growing = Growing()

def each(s, step):
    if step == 0:
        s.rundir.checkpoints.symlink_to(disk)
        s.register(growing=growing)
    growing.size = 3_000_000 if 22 < step < 32 else 0
    if step % 5 == 0 and step:
        s.checkpoint(); s.keeper.wait()
        print(step, sorted(int(p.name[4:13]) for p in disk.glob("*")), flush=True)

main(size=500_000, each=each)
"""  # 2 MB each; then one of 14 MB, which no room is enough for
    here(code)
    seen = ["5 [5]", "10 [5, 10]", "15 [5, 10, 15]", "20 [10, 15, 20]", "25 [20]", "30 [20]", "35 [20, 35]"]
    assert capsys.readouterr().out.splitlines() == seen
    [run] = runs()
    [said] = [e.payload["text"] for e in run.reader.events(["warning"])]
    assert "step 25 could not be written" in said
    assert "No space left on device" in said
    assert (run.state, run.step) == ("finished", 39)
    assert [c.step for c in run.checkpoints] == [20, 35]


def test_what_no_room_would_help_against_costs_no_other_checkpoint(tmp_path):
    code = """
import resource
def each(s, step):
    if step in (5, 10):
        s.checkpoint(); s.keeper.wait()
    if step == 20:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
        s.checkpoint(); s.keeper.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
main(size=500_000, each=each)
"""
    done = program(code, tmp_path)
    assert done.returncode == 0, done.stderr
    [run] = runs()
    assert [c.step for c in run.checkpoints] == [5, 10]
    [said] = [e.payload["text"] for e in run.reader.events(["warning"])]
    assert "File too large" in said
    assert not list(run.dir.checkpoints.glob("*.part"))
