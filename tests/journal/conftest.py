"""A run's folder for each test."""

from pathlib import Path

import pytest

from workbench.journal import RunDir


@pytest.fixture
def rundir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "20261123-101502-a-run")
