"""The store: found from where one stands, its runs listed and looked up."""

from __future__ import annotations

import os

import pytest

import workbench
from workbench.cards import StoreError, UnknownName, WorkbenchError
from workbench.runs import Store

TREE = {
    "experiment": "my/idea",
    "seed": 1,
    "arm": "a",
    "preset": None,
    "run": {"group": "g"},
    "tracking": {},
    "rules": [],
}


def test_the_environment_names_the_store(store):
    assert Store.find().path == store


def test_without_it_the_nearest_ancestors_store_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_HOME")
    (tmp_path / ".workbench").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert Store.find(deep).path == tmp_path / ".workbench"


def test_without_any_it_is_made_in_the_git_root_or_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_HOME")
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    assert Store.find(project / "sub").path == project / "sub" / ".workbench"
    (project / ".git").mkdir()
    assert Store.find(project / "sub").path == project / ".workbench"


def test_runs_are_listed_newest_first_and_found_by_parts_of_their_id():
    made = [Store.find().create(TREE) for _ in range(3)]
    store = Store.find()
    assert {r.id for r in store.runs("my/idea")} == {r.id for r in made}
    assert [r.id for r in store.runs()] == [r.id for r in reversed(made)]
    assert store.runs("other/idea") == []
    assert store.run(made[0].id.rsplit("-", 1)[1]).id == made[0].id
    assert store.run("latest").id == store.ids()[0]
    assert made[0].state == "queued"


def test_an_unknown_or_ambiguous_run_is_said_so():
    store = Store.find()
    with pytest.raises(UnknownName, match="no run 'x'"):
        store.run("x")
    first = store.create(TREE)
    store.create(TREE)
    with pytest.raises(WorkbenchError, match="could be any of 2 runs"):
        store.run(first.id[:8])


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="WORKBENCH_HOME to another folder"):
        Store(tmp_path / "file" / "store").create(TREE)


def test_a_folder_that_is_no_run_is_not_listed(store):
    Store.find().create(TREE)
    (store / "20260101-000000-my-idea-bad1").mkdir()
    (store / "20260101-000000-my-idea-bad1" / "config.yaml").write_text(": [")
    (store / "lab").mkdir()
    assert len(Store.find().runs()) == 1


def ended(loss: float) -> str:
    with workbench.session(experiment="my/idea", mlflow=False) as s:
        for step in s.steps(3):
            workbench.emit("loss", loss + step)
    return Store.find().ids()[0]


def test_what_has_ended_is_listed_from_the_index_and_read_anew_once_touched(store):
    run_id = ended(1.0)
    Store.find().runs()  # the first listing fills the index
    journal = store / run_id / "journal.db"
    bytes_, times = journal.read_bytes(), journal.stat()
    journal.write_bytes(b"x" * len(bytes_))  # unreadable, but with the stamp of what was read
    os.utime(journal, ns=(times.st_atime_ns, times.st_mtime_ns))
    [run] = Store.find().runs()
    assert (run.state, run.step, run.steps) == ("finished", 2, 3)
    journal.write_bytes(bytes_)
    [run] = Store.find().runs()
    assert (run.state, run["loss"].values.tolist()) == ("finished", [1.0, 2.0, 3.0])


def test_a_lost_or_damaged_index_is_made_anew(store):
    run_id = ended(1.0)
    Store.find().runs()
    (store / "index.db").write_bytes(b"no database at all")
    assert [r.id for r in Store.find().runs()] == [run_id]
    (store / "index.db").unlink()
    assert [r.state for r in Store.find().runs()] == ["finished"]
    assert Store.find().runs(active=True) == []
