"""What runs take of the disk, and what may be given back."""

from __future__ import annotations

import json
import os
import time

import pytest

from tests.runs.recorded import Recorded
from workbench.cards import InvalidValue, NotAllowed
from workbench.runs import Store
from workbench.runs.housekeeping import delete, disk, gc
from workbench.runs.remarks import annotate


def checkpoints(run):
    return sorted(p.name for p in run.dir.checkpoints.glob("*"))


def test_disk_use_is_told_by_part_and_adds_up():
    run = Recorded().train(50).checkpoint(10, size=5000).checkpoint(20, size=7000).end()
    run.dir.artifacts.mkdir()
    (run.dir.artifacts / "model.pt").write_bytes(b"x" * 300)
    run.dir.log.write_bytes(b"y" * 20)
    parts = disk(run)
    assert (parts["checkpoints"], parts["artifacts"], parts["log"]) == (12_000, 300, 20)
    assert parts["journal"] >= run.dir.journal.stat().st_size
    assert sum(parts.values()) == sum(p.stat().st_size for p in run.dir.path.rglob("*") if p.is_file())


def test_gc_removes_unfinished_and_orphaned_checkpoints_and_nothing_else():
    run = Recorded().train(50).checkpoint(10).end()
    (run.dir.checkpoints / "step000000020-0-1.part").write_bytes(b"x" * 30)
    (run.dir.checkpoints / "step000000020-0-1.pt").write_bytes(b"x" * 40)
    (run.dir.checkpoints / "mine.pt").write_bytes(b"kept by hand")
    before = {p: p.stat().st_size for p in run.dir.path.rglob("*")}
    dry = gc(Store.find(), dry_run=True)
    assert [(one.run, one.what, one.size) for one in dry.leftovers] == [
        (run.id, "unfinished checkpoints", 30), (run.id, "orphaned checkpoints", 40),
    ]  # fmt: skip
    assert {p: p.stat().st_size for p in run.dir.path.rglob("*")} == before
    assert gc(Store.find()).size == 70
    assert checkpoints(run) == ["mine.pt", "step000000010-0-0.pt"]
    assert gc(Store.find()).leftovers == ()
    assert run["loss"].steps.tolist() == list(range(50))


def test_gc_leaves_a_run_alone_that_trains_or_is_about_to():
    training = Recorded().train(5)
    training.run.dir.checkpoints.mkdir()
    part = training.run.dir.checkpoints / "step000000005-0-0.part"
    part.write_bytes(b"being written")
    waiting = Store.find().create({"experiment": "certified/ibp", "run": {}, "seed": 0})
    waiting.dir.checkpoints.mkdir()
    (waiting.dir.checkpoints / "step000000001-0-0.pt").write_bytes(b"for its start")
    assert gc(Store.find()).leftovers == ()
    assert part.exists()
    training.die()
    assert [one.size for one in gc(Store.find()).leftovers] == [13]
    assert not part.exists()


def test_gc_does_not_trust_a_damaged_journal():
    import sqlite3
    from contextlib import closing

    run = Recorded().train(5).checkpoint(3).end()
    with closing(sqlite3.connect(run.dir.journal)) as db, db:
        db.execute("UPDATE checkpoint SET size = 1")
    cleaning = gc(Store.find())
    assert cleaning.leftovers == ()
    assert "which is damaged" in cleaning.kept[0]
    assert checkpoints(run) == ["step000000003-0-0.pt"]


def test_checkpoints_of_archived_or_old_runs_go_only_when_asked_and_never_starred_ones():
    old = Recorded().train(5).checkpoint(3).end()
    starred = Recorded().train(5).checkpoint(3).end()
    fresh = Recorded().train(5).checkpoint(3).end()
    for run in (old, starred):
        os.utime(run.dir.journal, times=(time.time() - 10 * 86_400,) * 2)
    annotate(starred, star=True)
    annotate(fresh, archived=True)
    store = Store.find()
    assert gc(store).leftovers == ()
    [one] = gc(store, older_days=5).leftovers
    assert (one.run, checkpoints(old), checkpoints(starred)) == (old.id, [], ["step000000003-0-0.pt"])
    assert "10 days ago; it can be forked and resumed no longer" in one.why
    [one] = gc(store, archived=True).leftovers
    assert (one.run, one.why) == (fresh.id, "the run is archived; it can be forked and resumed no longer")
    assert fresh["loss"].steps.tolist() == list(range(5))
    with pytest.raises(InvalidValue, match="at least 0"):
        gc(store, older_days=-1)


def test_what_a_fork_still_begins_at_is_kept_until_it_has_a_checkpoint_of_its_own():
    parent = Recorded().train(9).checkpoint(3).end()
    annotate(parent, archived=True)
    child = Recorded(first=5, parent=parent.id, fork_step=5)
    cleaning = gc(Store.find(), archived=True)
    assert cleaning.leftovers == ()
    assert f"its fork {child.run.id} has none of its own" in cleaning.kept[0]
    with pytest.raises(NotAllowed, match="has no checkpoint of its own yet"):
        delete(parent)
    child.train(2).checkpoint(5).end()
    assert gc(Store.find(), archived=True).size == 1000
    delete(parent)
    assert Store.find().ids() == [child.run.id]


def test_of_a_fork_of_a_fork_without_checkpoints_the_first_ancestor_is_needed_too():
    first = Recorded().train(9).checkpoint(3).end()
    second = Recorded(first=5, parent=first.id, fork_step=5).end()
    Recorded(first=7, parent=second.id, fork_step=7).end()
    for run in (first, second):
        with pytest.raises(NotAllowed, match="no checkpoint of its own"):
            delete(run)


def test_a_deleted_run_is_gone_and_gives_back_its_bytes():
    run = Recorded().train(50).checkpoint(10, size=9000).end()
    other = Recorded().end()
    assert delete(run) > 9000
    assert not run.dir.path.exists()
    assert [r.id for r in Store.find().runs()] == [other.id]
    assert not (Store.find().path / "deleted").exists()


def test_a_run_that_trains_is_not_deleted():
    training = Recorded().train(5)
    with pytest.raises(NotAllowed, match="is running; stop it first"):
        delete(training.run)
    assert training.run.dir.config.exists()
    training.end()


def test_a_deleted_run_leaves_word_of_its_copies_elsewhere():
    run = Recorded().end()
    run.notes.set("mlflow", {"run_id": "abc", "uri": "sqlite:///x"})
    delete(run)
    [word] = (Store.find().path / "deleted").iterdir()
    assert (word.name, json.loads(word.read_text())["mlflow"]["run_id"]) == (f"{run.id}.json", "abc")


def test_a_deletion_that_was_cut_off_is_finished_by_gc():
    run = Recorded().train(5).end()
    run.dir.config.unlink()
    assert gc(Store.find()).leftovers == ()  # it may be a run that is being made
    os.utime(run.dir.path, times=(time.time() - 3600,) * 2)
    [one] = gc(Store.find()).leftovers
    assert (one.run, one.what) == (run.id, "a half-deleted run")
    assert not run.dir.path.exists()
