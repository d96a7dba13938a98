"""Detectors over what anybody recorded: a run of ours, a CSV file, or a run in MLflow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from workbench.cards.errors import InvalidValue
from workbench.cards.findings import Finding
from workbench.detectors import Detector, scan
from workbench.runs import Run
from workbench.tracking.destination import connect, default_uri, in_words

Columns = dict[str, tuple[np.ndarray, np.ndarray]]


class Findings(list[Finding]):
    """A list of findings that shows them one a line."""

    def __repr__(self) -> str:
        """What a notebook prints."""
        if not self:
            return "Nothing was found."
        lines = []
        for f in self:
            steps = f"from step {f.first:,}" if f.last is None else f"steps {f.first:,} to {f.last:,}"
            lines.append(f"{f.severity:8} {f.title}, {steps}: {f.sentence}")
            lines += [f"{'':8} {f.remedy}"] if f.remedy else []
        return "\n".join(lines)


def detect(source: Run | str | Path | Columns, detectors: Iterable[Detector] | None = None) -> Findings:
    """What the detectors find in a recorded run, in order of first steps; nothing needs to have been trained here.

    Args:
        source: a `Run`; the path of a CSV file with one row a step (Lightning's ``metrics.csv``, trl's, verl's or
            OpenRLHF's logs under their own names; empty cells are absent values); ``"runs:/ID"``, a run in MLflow at
            ``$MLFLOW_TRACKING_URI`` or in this store's; or a mapping name → (steps (n,), values (n,)).
        detectors: used up; None: all generic ones.

    Raises:
        InvalidValue: no such file, or no such run in MLflow.
    """
    if isinstance(source, Run):
        return Findings(scan(source.reader, detectors))
    if isinstance(source, str) and source.startswith("runs:/"):
        return Findings(scan(from_mlflow(source.removeprefix("runs:/").split("/")[0]), detectors))
    if isinstance(source, str | Path) and not Path(source).is_file():
        raise InvalidValue(f"There is no file {source}; give the path of a CSV file, or runs:/ID for a run in MLflow.")
    return Findings(scan(source, detectors))


def from_mlflow(run_id: str, uri: str | None = None) -> Columns:
    """Every metric of a run in MLflow, name → (steps, values); of a step that was logged again the newest value."""
    where = uri or default_uri()
    client = connect(where)
    try:
        names = list(client.get_run(run_id).data.metrics)
        return {name: _series(client.get_metric_history(run_id, name)) for name in names}
    except Exception as error:  # whatever a server or a database may raise
        raise InvalidValue(f"The run {run_id} cannot be read from MLflow at {where}: {in_words(error)}.") from error


def _series(history: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    newest = {m.step: m.value for m in sorted(history, key=lambda m: (m.step, m.timestamp))}
    return np.array(list(newest), dtype=np.int64), np.array(list(newest.values()), dtype=np.float64)
