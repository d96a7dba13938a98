"""Lineage, names, stars, notes and deletions, as somebody who knows only MLflow finds them there."""

from __future__ import annotations

import pytest

from tests.tracking.recorded import Training
from tests.tracking.test_copying import copy_of
from workbench.runs import Store
from workbench.runs.housekeeping import delete
from workbench.runs.remarks import annotate
from workbench.tracking import default_uri, mlflow_run_id, sync
from workbench.tracking.destination import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def child(store, **lineage):
    return Training(store, run={"name": "", "group": "", **lineage}).train(20).end()


def test_forks_and_replays_stand_below_their_origin_even_when_all_are_copied_at_once(mlflow_store):
    first = Training(mlflow_store).train(20).end()
    fork = child(mlflow_store, parent=first.id, fork_step=7)
    deep = child(mlflow_store, parent=fork.id, fork_step=9)
    replay = child(mlflow_store, parent=first.id, fork_step=7, replay_of=fork.id)
    sync(mlflow_store)
    above = {run.id: copy_of(run)[1].data.tags.get("mlflow.parentRunId") for run in (first, fork, deep, replay)}
    assert above == {
        first.id: None, fork.id: mlflow_run_id(first), deep.id: mlflow_run_id(fork), replay.id: mlflow_run_id(fork),
    }  # fmt: skip
    tags = copy_of(replay)[1].data.tags
    assert (tags["workbench.parent"], tags["workbench.fork_step"]) == (first.id, "7")
    assert tags["workbench.replay_of"] == fork.id
    params = copy_of(replay)[1].data.params
    assert not [name for name in params if name.startswith("run.")]


def test_a_fork_copied_before_its_parent_is_put_below_it_later(mlflow_store):
    first = Training(mlflow_store).train(20).end()
    fork = child(mlflow_store, parent=first.id, fork_step=7)
    sync(mlflow_store, runs=[fork.id])
    assert "mlflow.parentRunId" not in copy_of(fork)[1].data.tags
    sync(mlflow_store)
    sync(mlflow_store)
    assert copy_of(fork)[1].data.tags["mlflow.parentRunId"] == mlflow_run_id(first)


def test_a_name_a_star_and_a_note_given_after_the_end_arrive_and_can_be_taken_back(mlflow_store):
    run = Training(mlflow_store).train(20).end()
    sync(mlflow_store)
    made = copy_of(run)[1].info.run_name
    annotate(run, name="the good one", star=True, note="lr too high?", archived=True)
    sync(mlflow_store)
    _, copied = copy_of(run)
    assert copied.info.run_name == "the good one"
    assert copied.data.tags["mlflow.runName"] == "the good one"
    assert copied.data.tags["mlflow.note.content"].startswith("lr too high?\n\n**my/idea**: finished")
    assert (copied.data.tags["workbench.star"], copied.data.tags["workbench.archived"]) == ("true", "true")
    assert copied.info.status == "FINISHED"
    annotate(run, name="", star=False, note="", archived=False)
    assert sync(mlflow_store).sent == 0
    _, copied = copy_of(run)
    assert copied.info.run_name == made
    assert not {"workbench.star", "workbench.archived"} & set(copied.data.tags)
    assert copied.data.tags["mlflow.note.content"].startswith("**my/idea**")


def test_a_name_given_in_mlflow_stays(mlflow_store):
    training = Training(mlflow_store).train(20)
    sync(mlflow_store)
    client, copied = copy_of(training.run)
    client.update_run(copied.info.run_id, name="named over there")
    training.train(20)
    sync(mlflow_store)
    training.end()
    sync(mlflow_store)
    assert copy_of(training.run)[1].info.run_name == "named over there"


def test_the_mirror_sees_a_note_on_a_run_it_is_done_with(mlflow_store):
    from workbench.tracking.service import Mirror

    run = Training(mlflow_store).train(20).end()
    mirror = Mirror(Store(mlflow_store))
    mirror.round()
    sent = run.dir.notes.stat().st_mtime_ns
    mirror.round()
    assert run.dir.notes.stat().st_mtime_ns == sent  # nothing to do, nothing written
    annotate(run, note="look again")
    mirror.round()
    assert copy_of(run)[1].data.tags["mlflow.note.content"].startswith("look again")


def test_the_copy_of_a_deleted_run_is_marked_as_deleted(mlflow_store):
    run = Training(mlflow_store).train(20).end()
    sync(mlflow_store)
    copy = mlflow_run_id(run)
    delete(run)
    sync(mlflow_store)
    assert connect(default_uri()).get_run(copy).info.lifecycle_stage == "deleted"
    assert list((mlflow_store / "deleted").iterdir()) == []


def test_a_deletion_waits_until_mlflow_answers(mlflow_store):
    run = Training(mlflow_store).train(20).end()
    sync(mlflow_store)
    copy = mlflow_run_id(run)
    delete(run)
    database, away = mlflow_store / "mlflow.db", mlflow_store / "away.db"
    database.rename(away)
    database.mkdir()  # nothing can be opened there
    with pytest.raises(Exception, match="MLflow at"):
        sync(mlflow_store)
    assert len(list((mlflow_store / "deleted").iterdir())) == 1
    database.rmdir()
    away.rename(database)
    sync(mlflow_store)
    assert connect(default_uri()).get_run(copy).info.lifecycle_stage == "deleted"
