"""Detectors over other people's records: a CSV file under trl's names, a run in MLflow, a run of ours."""

from __future__ import annotations

import numpy as np
import pytest

import workbench
from workbench.cli import main
from workbench.tracking.destination import connect

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

STEPS = 60


def stick() -> np.ndarray:
    """The shape of a hockey stick: down within 20 steps, and most of the way back."""
    step = np.arange(STEPS)
    return np.interp(step, [0, 4, 16, 24, 59], [0.6, 0.6, 0.2, 0.2, 0.55])


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "theirs.csv"
    rows = [f"{s},{r},30.0" for s, r in enumerate(stick())]
    path.write_text("\n".join(["step,rewards/mean,completions/mean_length", *rows]) + "\n")
    return path


def test_a_csv_file_under_other_names(csv):
    found = workbench.detect(csv)
    assert [f.id for f in found] == ["hockey_stick"]
    assert "hockey stick" in repr(found).lower()
    assert repr(workbench.detect({"reward": (np.arange(STEPS), np.full(STEPS, 0.5))})) == "Nothing was found."


def test_a_run_in_mlflow(tmp_path, monkeypatch, csv):
    uri = f"sqlite:///{tmp_path / 'their.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = connect(uri)
    theirs = client.create_run(client.create_experiment("theirs")).info.run_id
    for step, reward in enumerate(stick()):
        client.log_metric(theirs, "rewards/mean", float(reward), step=step)
    assert [f.sentence for f in workbench.detect(f"runs:/{theirs}")] == [f.sentence for f in workbench.detect(csv)]
    with pytest.raises(workbench.WorkbenchError, match="cannot be read from MLflow"):
        workbench.detect("runs:/nothere")


def test_the_command_line(csv):
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["detect", str(csv)])
    assert done.exit_code == 0
    assert "steps" in done.output


def test_what_is_not_there_is_named():
    with pytest.raises(workbench.WorkbenchError, match=r"There is no file nowhere\.csv"):
        workbench.detect("nowhere.csv")
