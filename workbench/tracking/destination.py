"""Where a store's runs are copied to, and how a process talks to it without ever waiting long."""

from __future__ import annotations

import importlib.util
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workbench.cards.errors import MissingData
from workbench.runs import Run, Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A server that refuses, hangs or answers 500 costs seconds; the mirror then waits and tries again.
_PATIENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def as_store(store: Store | Path | str | None) -> Store:
    """The store meant by an object, a path, or nothing (the one for where one stands)."""
    if store is None:
        return Store.find()
    return store if isinstance(store, Store) else Store(store)


def default_uri(store: Store | Path | str | None = None) -> str:
    """`$MLFLOW_TRACKING_URI`, else the SQLite file inside the store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{as_store(store).path / 'mlflow.db'}"


def uri_of(run: Run, store: Store) -> str:
    """Where a run goes: the address recorded when it started, else the store's default."""
    return str(run.reader.meta.get("tracking_uri") or default_uri(store))


def mlflow_run_id(run: Run) -> str | None:
    """The id of a run's copy in MLflow; None while there is none."""
    note = run.notes.get("mlflow") or {}
    return note.get("run_id")


def ui_command(store: Store | Path | str | None = None) -> str:
    """The command line that opens MLflow's own interface on the copies; for a server, its address."""
    uri = default_uri(store)
    if uri.startswith(("http://", "https://")):
        return uri
    return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"


def installed() -> bool:
    """Whether mlflow is there, without importing it."""
    return importlib.util.find_spec("mlflow") is not None


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server or SQLite file at `uri`; nothing is sent yet. Imports mlflow (about 1.5 s)."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    if not installed():
        raise MissingData("mlflow is not installed; bring it with: pip install 'balance-workbench[mlflow]'")
    import logging

    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def artifact_location(uri: str, store: Store, experiment: str) -> str | None:
    """Where artifacts lie: with a database file beside it in the store, else where the server puts them."""
    if not uri.startswith("sqlite:"):
        return None  # the server knows
    return f"file://{quote(str(store.path / 'mlartifacts' / experiment.replace('/', '-')))}"


def reachable(client: Any) -> str:
    """Empty if the other side answers, else why not, in one sentence."""
    try:
        client.search_experiments(max_results=1)
    except Exception as error:  # noqa: BLE001 (whatever a server, a proxy or a database may raise)
        return in_words(error)
    return ""


def in_words(error: BaseException) -> str:
    """The first line of an error, shortened to what a status line can hold."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return f"{type(error).__name__}: {text}"[:300]
