"""The final model stands in MLflow as a model of MLflow's own."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.runs import Store, launch
from workbench.tracking import mlflow_run_id, sync

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_a_finished_run_leaves_a_model_that_mlflow_loads(store):
    run = launch("certified/ibp", arm="fast", preset="smoke")
    assert run.wait(180) == "finished", run.dir.log.read_text()
    sync(store)
    import mlflow
    import torch

    mlflow.set_tracking_uri(run.reader.meta["tracking_uri"])
    model = mlflow.pytorch.load_model(f"runs:/{mlflow_run_id(Store.find().run(run.id))}/model")
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    assert set(run.reader.meta["weights"]) == {f"model.network.{name}" for name in state}
    assert all(np.isfinite(array).all() for array in state.values())
    assert model.eval()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_without_mlflow_no_model_is_kept():
    run = launch("certified/ibp", arm="fast", preset="smoke", overrides={"tracking": "off"})
    assert run.wait(180) == "finished"
    assert not run.dir.artifacts.exists()
