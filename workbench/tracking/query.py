"""Comparing runs through MLflow: the table of an experiment's runs, and the best of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.runs import Run, Store
from workbench.tracking import destination

if TYPE_CHECKING:
    import pandas as pd


def frame(
    experiment: str, *, where: str = "", store: Store | Path | str | None = None, uri: str | None = None
) -> pd.DataFrame:
    """One row a run, newest first: MLflow's id, status and start, then parameters, last metric values and our tags.

    Columns are named ``params.epsilon``, ``metrics.loss``, ``tags.workbench.arm``. `where` is MLflow's filter, such as
    ``"params.arm = 'fast' and metrics.loss < 1"``.

    Raises:
        UnknownName: the experiment has no copy in MLflow.
        InvalidValue: a filter that MLflow does not understand.
    """
    import pandas as pd

    rows = []
    for run in _search(experiment, where, store, uri):
        row: dict[str, Any] = {
            "mlflow_run_id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "started": pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"),
        }
        row |= {f"params.{k}": v for k, v in run.data.params.items()}
        row |= {f"metrics.{k}": v for k, v in run.data.metrics.items()}
        row |= {f"tags.{k}": v for k, v in run.data.tags.items() if k.startswith("workbench.")}
        rows.append(row)
    return pd.DataFrame(rows)


def best(
    experiment: str,
    metric: str,
    *,
    direction: str = "lower",
    where: str = "",
    store: Store | Path | str | None = None,
    uri: str | None = None,
) -> Run:
    """The run of this store whose last value of `metric` is the lowest (`direction` ``higher``: highest).

    Runs in which the value is missing or not finite do not count.

    Raises:
        UnknownName: the experiment has no copy, or none of its runs that metric.
        InvalidValue: another direction, or a filter that MLflow does not understand.
    """
    if direction not in ("lower", "higher"):
        raise InvalidValue(f"direction must be lower or higher; got {direction!r}.")
    sign = 1.0 if direction == "lower" else -1.0
    found = list(_search(experiment, where, store, uri))
    limit = 1e300  # MLflow keeps an infinite value as the largest number there is
    scored = [
        (sign * run.data.metrics[metric], run) for run in found if abs(run.data.metrics.get(metric, limit)) < limit
    ]
    if not scored:
        known = {name for run in found for name in run.data.metrics}
        raise UnknownName("metric", metric, known, where=experiment)
    winner = min(scored, key=lambda pair: pair[0])[1]
    return destination.as_store(store).run(winner.data.tags["workbench.run_id"])


def _search(experiment: str, where: str, store: Store | Path | str | None, uri: str | None) -> list[Any]:
    client = destination.connect(uri or destination.default_uri(store))
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(experiment)
    if found is None:
        names = [e.name for e in client.search_experiments()]
        raise UnknownName("experiment", experiment, names, where="MLflow")
    runs: list[Any] = []
    token: str | None = None
    while True:
        try:
            page = client.search_runs([found.experiment_id], where, max_results=1_000, page_token=token)
        except MlflowException as error:
            raise InvalidValue(f"MLflow refuses the filter {where!r}: {destination.in_words(error)}") from error
        runs.extend(page)
        token = page.token
        if not token:
            return runs
