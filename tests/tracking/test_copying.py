"""The copy in a real MLflow on SQLite: what somebody who knows only MLflow finds there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tracking.recorded import START, Training
from workbench.cards.errors import InvalidValue, UnknownName
from workbench.runs import Store
from workbench.tracking import best, default_uri, frame, mlflow_run_id, status, sync
from workbench.tracking.destination import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def copy_of(run):
    client = connect(default_uri())
    return client, client.get_run(mlflow_run_id(run))


def history(client, run_id, key):
    return {m.step: m.value for m in client.get_metric_history(run_id, key)}


def test_a_finished_run_is_found_with_curve_parameters_interventions_and_findings(mlflow_store):
    training = Training(mlflow_store).train(200).move("epsilon", 0.1, 0.2).find().train(200)
    sync(mlflow_store)
    run = training.end()
    assert str(sync(mlflow_store)) == f"MLflow at {default_uri()} has everything."
    client, copied = copy_of(run)
    assert copied.info.status == "FINISHED"
    assert "seed 3" in copied.info.run_name
    assert copied.data.params["epsilon"] == "0.1"
    assert copied.data.params["optimizer.lr"] == "0.001"
    tags = copied.data.tags
    assert tags["workbench.run_id"] == run.id
    assert tags["workbench.group"] == "g1"
    assert "loss jumped." in tags["finding.spike 5"]
    assert tags["intervention.0001"] == "step 200: epsilon 0.1 → 0.2 (notebook, applied)"
    assert tags["mlflow.note.content"].startswith(
        "**my/idea**: finished at step 399. *Findings:* Spike. *Interventions:* epsilon 0.1 → 0.2 at step 200."
    )
    assert "| 200 | epsilon 0.1 → 0.2 | notebook | applied |" in tags["mlflow.note.content"]
    assert history(client, copied.info.run_id, "control/epsilon") == {0: 0.1, 199: 0.1, 200: 0.2, 399: 0.2}
    loss = history(client, copied.info.run_id, "loss")
    assert loss == dict(zip(run["loss"].steps.tolist(), run["loss"].values.tolist(), strict=True))
    stamps = [m.timestamp for m in client.get_metric_history(copied.info.run_id, "loss")]
    assert min(stamps) == int(1000 * START)
    assert max(stamps) == int(1000 * (START + 3.99))


def test_the_whole_journal_and_the_records_stand_among_the_artifacts(mlflow_store, tmp_path):
    run = Training(mlflow_store).train(50).move("epsilon", 0.1, 0.3).train(50).end()
    sync(mlflow_store)
    client, copied = copy_of(run)
    names = {a.path for a in client.list_artifacts(copied.info.run_id)}
    assert names == {"journal.parquet", "interventions.json", "findings.json", "environment.json", "config.yaml"}
    import pyarrow.parquet as pq

    table = pq.read_table(client.download_artifacts(copied.info.run_id, "journal.parquet", str(tmp_path)))
    assert table.num_rows == 100
    path = client.download_artifacts(copied.info.run_id, "interventions.json", str(tmp_path))
    (record,) = json.loads(Path(path).read_text())
    assert record["new"] == {"epsilon": 0.3}
    assert record["outcome"] == "applied"


@pytest.mark.parametrize(("end", "said"), [("stopped", "KILLED"), ("failed", "FAILED"), ("lost", "FAILED")])
def test_no_run_stays_running_for_ever(mlflow_store, end, said):
    training = Training(mlflow_store).train(30)
    sync(mlflow_store)
    _, copied = copy_of(training.run)
    assert copied.info.status == "RUNNING"
    run = training.die() if end == "lost" else training.end(end)
    sync(mlflow_store)
    _, copied = copy_of(run)
    assert (copied.info.status, copied.data.tags["workbench.state"]) == (said, end)


def test_a_long_series_is_thinned_keeps_its_spike_and_ends_with_its_last_value(mlflow_store):
    def spiky(steps):
        return np.where(steps == 7_777, 99.0, np.sin(steps))

    run = Training(mlflow_store, steps=20_000).train(5_000, wave=spiky).train(15_000, wave=spiky).end()
    sync(mlflow_store)
    client, copied = copy_of(run)
    wave = history(client, copied.info.run_id, "wave")
    assert len(wave) <= 2_000
    assert wave[7_777] == 99.0
    assert copied.data.metrics["wave"] == run["wave"].values[-1]


def test_copying_in_many_small_visits_gives_what_one_visit_gives(mlflow_store):
    a = Training(mlflow_store, steps=6_000)
    b = Training(mlflow_store, steps=6_000)
    for _ in range(6):
        a.train(1_000), b.train(1_000)
        sync(mlflow_store, runs=[a.run.id])
    a.end(), b.end()
    sync(mlflow_store)
    client = connect(default_uri())
    histories = [history(client, mlflow_run_id(t.run), "loss") for t in (a, b)]
    assert histories[0] == histories[1]
    assert len(histories[0]) <= 2_000


def test_nothing_is_sent_twice_and_a_second_sync_sends_nothing(mlflow_store):
    run = Training(mlflow_store).train(300).end()
    first = sync(mlflow_store)
    again = sync(mlflow_store)
    client, copied = copy_of(run)
    assert first.sent >= 300
    assert again.sent == 0
    assert len(client.get_metric_history(copied.info.run_id, "loss")) == 300


def test_a_lost_note_about_what_was_sent_makes_no_second_copy(mlflow_store):
    run = Training(mlflow_store).train(300).end()
    sync(mlflow_store)
    first = mlflow_run_id(run)
    for key in run.notes.all():
        run.notes.set(key, None)
    sync(mlflow_store)
    client, copied = copy_of(run)
    assert copied.info.run_id == first
    assert len(client.get_metric_history(first, "loss")) == 300


def test_full_resolution_sends_every_point(mlflow_store):
    tracking = {"mlflow": True, "resolution": "full"}
    run = Training(mlflow_store, steps=3_000, tracking=tracking).train(3_000).end()
    sync(mlflow_store)
    client, copied = copy_of(run)
    assert len(client.get_metric_history(copied.info.run_id, "loss")) == 3_000


def test_a_vector_is_one_series_a_component(mlflow_store):
    run = Training(mlflow_store).train(100, load=lambda s: np.stack([s, 2.0 * s, 3.0 * s], axis=1)).end()
    sync(mlflow_store)
    _, copied = copy_of(run)
    assert {k: v for k, v in copied.data.metrics.items() if "/" in k} == {"load/0": 99, "load/1": 198, "load/2": 297}


def test_infinity_and_nan_become_a_tag_and_a_nan_point(mlflow_store):
    run = Training(mlflow_store).train(100, bound=lambda s: np.where(s >= 60, np.inf, 1.0)).end()
    sync(mlflow_store)
    client, copied = copy_of(run)
    assert copied.data.tags["non_finite.bound"].startswith("inf first at step 60")
    bound = history(client, copied.info.run_id, "bound")
    assert np.isnan(bound[60])
    assert all(v == 1.0 for s, v in bound.items() if s < 60)


def test_a_run_that_is_taken_up_again_goes_on_in_its_copy(mlflow_store):
    from workbench.journal import RunLock, Writer

    run = Training(mlflow_store).train(100).end("stopped")
    sync(mlflow_store)
    lock = RunLock.acquire(run.dir.lock)
    writer = Writer(run.dir, {}, attempt=1)
    writer.set_state("running")
    writer.append(np.arange(100, 150), START + np.arange(50), {"loss": np.zeros(50)})
    writer.close("finished")
    lock.release()
    sync(mlflow_store)
    client, copied = copy_of(run)
    assert copied.info.status == "FINISHED"
    assert len(client.get_metric_history(copied.info.run_id, "loss")) == 150


def test_a_fork_stands_below_its_parent(mlflow_store):
    parent = Training(mlflow_store).train(20).end()
    sync(mlflow_store)
    child = Training(mlflow_store, run={"name": "", "group": "", "parent": parent.id}).train(20).end()
    sync(mlflow_store)
    _, copied = copy_of(child)
    assert copied.data.tags["mlflow.parentRunId"] == mlflow_run_id(parent)


def test_a_run_that_wants_no_copy_gets_none(mlflow_store):
    run = Training(mlflow_store, tracking={"mlflow": False}).train(20).end()
    sync(mlflow_store)
    assert mlflow_run_id(run) is None


def test_settings_too_long_for_mlflow_are_cut_visibly(mlflow_store):
    run = Training(mlflow_store, remark="x" * 9_000).train(5).end()
    sync(mlflow_store)
    _, copied = copy_of(run)
    assert copied.data.params["remark"].endswith("x …")
    assert len(copied.data.params["remark"]) == 6_000


def test_best_and_frame_compare_the_runs_of_an_experiment(mlflow_store):
    runs = [
        Training(mlflow_store, epsilon=e).train(20, error=lambda s, e=e: np.full(len(s), e)).end()
        for e in (0.3, 0.1, np.inf)
    ]
    sync(mlflow_store)
    table = frame("my/idea")
    assert sorted(table["params.epsilon"]) == ["0.1", "0.3", "inf"]
    assert set(table["status"]) == {"FINISHED"}
    assert best("my/idea", "error").id == runs[1].id
    assert best("my/idea", "error", direction="higher").id == runs[0].id
    with pytest.raises(UnknownName, match="Did you mean 'error'"):
        best("my/idea", "eror")
    with pytest.raises(UnknownName, match="no experiment 'my/ideas'"):
        frame("my/ideas")
    with pytest.raises(InvalidValue, match="refuses the filter"):
        frame("my/idea", where="nonsense ~")


def test_the_room_is_light_to_import():
    code = "import sys, workbench.tracking as t; t.default_uri(); print({'mlflow', 'torch', 'pandas'} & {*sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_status_of_a_store_without_copies_says_so(mlflow_store):
    assert not status(Store(mlflow_store)).running
