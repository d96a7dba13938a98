"""The experiments to interrupt, a nursery of workers, and the report of the counts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import harness, report
from workbench.cards import registry
from workbench.runs import spare

EXPERIMENTS = Path(__file__).parent / "experiments"


@pytest.fixture(scope="package")
def _experiments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """faults/plain and faults/lightning, installed for this process and for all that it starts."""
    folder = tmp_path_factory.mktemp("installed")
    metadata = folder / "fault_experiments-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fault-experiments\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text("[workbench.methods]\nfaults = fault_experiments\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(EXPERIMENTS), str(folder)]))
        patch.syspath_prepend(str(EXPERIMENTS))
        patch.syspath_prepend(str(folder))
        _forget()
        yield
    _forget()


def _forget() -> None:
    registry._modules.cache_clear()
    registry.card.cache_clear()


@pytest.fixture(scope="package")
def _nursery(_experiments: None) -> Iterator[None]:
    """Workers start within a tenth of a second."""
    with tempfile.TemporaryDirectory(prefix="wb") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spare, "PATIENCE", 60)  # a worker that the nursery did not make would not know how to die
        patch.setenv("XDG_RUNTIME_DIR", folder)  # no spare of anybody else's, and short enough for a socket's address
        process = harness.module("nursery", spare.key(), start_new_session=True)
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            harness.end(process)


@pytest.fixture(autouse=True)
def _workers(_nursery: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As many runs at once as a test likes; none outlives it."""
    monkeypatch.setenv("WORKBENCH_MAX_RUNS", "64")
    yield
    harness.kill_all()


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Report a fault's counts: in the summary of the tests, and in the results of ``make faults``."""

    def said(number: str, what: str, holds: str, **counts: int | str) -> None:
        named = {name.replace("_", " "): value for name, value in counts.items()}
        record_property(report.PROPERTY, report.Fault(number, what, holds, named).to_json())

    return said
