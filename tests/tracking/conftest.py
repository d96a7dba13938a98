"""An MLflow database whose tables are there already: making them takes seconds, copying them does not."""

import shutil

import pytest

from workbench.tracking.destination import connect


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlflow_store(store, empty_database):
    """The test's store, with an empty MLflow database in it."""
    store.mkdir(exist_ok=True)
    shutil.copy(empty_database, store / "mlflow.db")
    return store
