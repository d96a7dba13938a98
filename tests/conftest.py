"""What every test gets: one thread, no telemetry, and a store and cached parts of its own."""

import os
from pathlib import Path

# Before torch or mlflow are imported anywhere: both read these once.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["WORKBENCH_MIRROR"] = "0"  # no mirror process a test, but in the tests of the mirror
os.environ["WORKBENCH_SPARES"] = "0"  # the tests that need spare workers switch them on
os.environ.pop("MLFLOW_TRACKING_URI", None)

import pytest
from hypothesis import HealthCheck, settings

from tests.faults import summary

# The same examples each time, and nothing asserted of how long one takes: machines are noisy.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """The counts of the faults are told at the end, whichever process ran them."""
    config.pluginmanager.register(summary)


@pytest.fixture(scope="session", autouse=True)
def _never_the_users_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fixtures that outlive a test find a store of the suite's, never the one of whoever runs it."""
    os.environ["WORKBENCH_HOME"] = str(tmp_path_factory.mktemp("suite") / "store")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own store; no test sees the runs, the cached parts or the tracking server of another."""
    home = tmp_path / "store"
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    monkeypatch.setenv("WORKBENCH_ARTIFACTS", str(tmp_path / "artifacts"))
    return home
