"""Copying the runs of a store to MLflow: in a process beside the training, or in the foreground, after outages too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.cards.errors import NotAllowed, WorkbenchError
from workbench.journal import RunDir, RunLock, is_held
from workbench.journal.lock import holder
from workbench.runs import Run, Store
from workbench.runs.housekeeping import DELETED
from workbench.runs.lineage import origin
from workbench.runs.remarks import stamp as noted
from workbench.runs.spare import reap_later
from workbench.tracking import destination

IDLE_S = 60.0
TICK_S = 1.0
_LONGEST_PAUSE_S = 15.0
_GIVE_UP_S = 1800.0  # without an active run, a destination that does not answer; the next run or `sync` catches up


@dataclass
class Status:
    """How the mirror of a store is doing.

    Attributes:
        running: whether its process is alive, `pid` which one.
        uri: where it sends.
        behind: runs with something not sent yet.
        sent: metric values sent by this process.
        error: why nothing arrives at present; empty if all is well.
        errors: run id → why that run alone could not be copied.
        updated: when this was written, seconds since 1970.
    """

    running: bool = False
    pid: int | None = None
    uri: str = ""
    behind: int = 0
    sent: int = 0
    error: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    updated: float = 0.0

    def __str__(self) -> str:
        if self.error:
            return (
                f"MLflow at {self.uri} does not answer ({self.error}); {self.behind} runs wait and will be sent later."
            )
        if self.errors:
            name, reason = next(iter(self.errors.items()))
            return f"{len(self.errors)} runs could not be copied to {self.uri}, the first {name}: {reason}"
        if self.behind:
            return f"{self.behind} runs are being copied to {self.uri}."
        return f"MLflow at {self.uri} has everything." if self.uri else "Nothing was copied to MLflow yet."


def ensure_mirror(store: Store | Path | str) -> int | None:
    """See to it that the store has a mirror: the id of a process just started, None if there is one or no mlflow.

    Costs a file lock's test, or starting a process; imports no mlflow and never waits for it. ``WORKBENCH_MIRROR=0``
    in the environment starts none (`sync` then does the copying when it is asked).
    """
    if os.environ.get("WORKBENCH_MIRROR", "").strip() == "0":
        return None
    path = destination.as_store(store).path
    if is_held(lock_path(path)) or not destination.installed():
        return None
    try:
        with (path / "mirror.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workbench.tracking.mirror", str(path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
    except OSError:
        return None  # a store that cannot be written is told by whoever writes the run
    reap_later(process)
    return process.pid


def status(store: Store | Path | str | None = None) -> Status:
    """How the store's mirror is doing, as it last said itself."""
    found = destination.as_store(store)
    try:
        said = Status(**json.loads((found.path / "mirror.json").read_text()))
    except (OSError, ValueError, TypeError):
        said = Status(uri=destination.default_uri(found))
    said.pid = holder(lock_path(found.path))
    said.running = said.pid is not None
    return said


def sync(store: Store | Path | str | None = None, runs: Iterable[str] | None = None, uri: str | None = None) -> Status:
    """Copy what is not copied yet, in the foreground: all runs, or those with these ids. Returns how it went.

    While a mirror process is at it, this waits for that one to catch up (it has the same watermarks), unless `uri`
    names another destination.

    Raises:
        MissingData: mlflow is not installed.
        WorkbenchError: the destination does not answer; nothing is lost.
    """
    found = destination.as_store(store)
    mirror = Mirror(found, only=set(runs) if runs is not None else None, uri=uri)
    try:
        lock = RunLock.acquire(lock_path(found.path)) if uri is None else None
    except NotAllowed:
        return _wait(found, mirror.only)
    try:
        mirror.round()
    finally:
        if lock is not None:
            lock.release()
    if mirror.status.error:
        raise WorkbenchError(f"{mirror.status} Check that it is up, then: workbench sync")
    return mirror.status


def _wait(store: Store, only: set[str] | None) -> Status:
    """Until the living mirror has nothing left of runs that have ended, or says why it cannot."""
    asked = time.time()
    while True:
        now = status(store)
        if now.error and now.updated > asked:
            raise WorkbenchError(f"{now} Check that it is up, then: workbench sync")
        if not now.running:
            return sync(store, only)
        if now.updated > asked + 2 * TICK_S and not now.behind:
            return now
        time.sleep(0.2)


class Mirror:
    """Copies the runs of a store; `round` once, or `serve` until there is nothing to do."""

    def __init__(self, store: Store, *, only: set[str] | None = None, uri: str | None = None) -> None:
        self.store, self.only, self.uri = store, only, uri
        self.status = Status(running=True, pid=os.getpid(), uri=uri or destination.default_uri(store))
        self._clients: dict[str, Any] = {}
        self._copies: dict[str, Any] = {}
        self._finished: dict[str, str] = {}  # run id → stamp of its notes when all of it had been sent
        self._pause: dict[str, tuple[float, int]] = {}  # destination or run id → not before, failures in a row

    def serve(self) -> None:
        """Rounds, a second apart, until nothing is left to do for a minute."""
        worked = time.monotonic()
        self._say()
        while True:
            active = self.round()
            now = time.monotonic()
            if active or (self.status.behind and now - worked < _GIVE_UP_S):
                worked = now if active else worked
            elif now - worked > IDLE_S:
                return
            time.sleep(TICK_S)

    def round(self) -> bool:
        """Look at every run once; True if one of them is still training."""
        active = False
        self.status.behind = 0
        self.status.errors = {}
        for run_id in self.store.ids():
            if self.only is not None and run_id not in self.only:
                continue
            if run_id in self._finished:
                folder = self.store.path / run_id
                if not is_held(folder / "worker.lock") and noted(folder) == self._finished[run_id]:
                    continue
                del self._finished[run_id]  # taken up again, named, starred …
                self._copies.pop(run_id, None)
            active |= self._look(run_id)
        if self.only is None:
            self._delete()
        self._say()
        return active

    def _look(self, run_id: str, *, origins: bool = True) -> bool:
        try:
            run = self._copies[run_id].run if run_id in self._copies else self.store.run(run_id)
            if not (run.config.get("tracking") or {}).get("mlflow", True):
                self._finished[run_id] = noted(run.dir.path)
                return False
            state, uri = run.state, self.uri or destination.uri_of(run, self.store)
        except WorkbenchError as error:
            self.status.errors[run_id] = str(error)
            return False
        ended = run.ended
        if origins and run_id not in self._copies:
            self._origins(run)
        if state not in ("queued", "starting") and self._due(uri) and self._due(run_id):
            self._try(run_id, run, uri)
        copy = self._copies.get(run_id)
        words = noted(run.dir.path)
        if ended and copy is not None and copy.done:
            self._finished[run_id] = words
            self._copies.pop(run_id).run.reader.close()
        elif ended:
            self.status.behind += 1
        return not ended

    def _origins(self, run: Run) -> None:
        """Copy the runs that this one came from first, the oldest before all, so that it can stand below them."""
        waiting: list[str] = []
        above = origin(run)
        while above and above not in (*waiting, *self._copies, *self._finished):
            folder = RunDir(self.store.path / above)
            if (self.only is not None and above not in self.only) or not folder.config.exists():
                break
            waiting.append(above)
            try:
                above = origin(Run.open(folder))
            except WorkbenchError:
                break
        for run_id in reversed(waiting):
            self._look(run_id, origins=False)

    def _delete(self) -> None:
        """Mark the copies of deleted runs as deleted; what cannot be reached now waits for the next round."""
        for word in sorted((self.store.path / DELETED).glob("*.json")):
            left = False
            for place, copy in json.loads(word.read_text()).items():
                uri = place.removeprefix("mirror ")
                if uri == place or not copy.get("run_id"):
                    continue
                left |= not (self._due(uri) and self._deleted(uri, str(copy["run_id"])))
            if left:
                self.status.behind += 1
            else:
                word.unlink()

    def _deleted(self, uri: str, mlflow_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            client = self._client(uri)
            if client.get_run(mlflow_id).info.lifecycle_stage != "deleted":
                client.delete_run(mlflow_id)
        except Exception as error:  # noqa: BLE001 (whatever a server, a proxy or a database may raise; it is told)
            if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return True
            self._postpone(uri)
            self.status.error = destination.in_words(error)
            return False
        return True

    def _client(self, uri: str) -> Any:
        if uri not in self._clients:
            self._clients[uri] = destination.connect(uri)
        return self._clients[uri]

    def _try(self, run_id: str, run: Run, uri: str) -> None:
        from workbench.tracking.copying import Copy

        try:
            client = self._client(uri)
            if run_id not in self._copies:
                self._copies[run_id] = Copy(run, self.store, client, uri)
            copy = self._copies[run_id]
            before = copy.sent
            copy.sync()
        except Exception as error:  # noqa: BLE001 (whatever a server, a proxy or a database may raise; it is told)
            down = destination.reachable(self._clients[uri]) if uri in self._clients else destination.in_words(error)
            self._postpone(uri if down else run_id)
            self.status.error = down
            if not down:
                self.status.errors[run_id] = destination.in_words(error)
            print(f"{time.strftime('%F %T')} {run_id}: {destination.in_words(error)}", file=sys.stderr, flush=True)
        else:
            self.status.sent += copy.sent - before
            self.status.error = ""
            self._pause.pop(uri, None)
            self._pause.pop(run_id, None)

    def _due(self, what: str) -> bool:
        return time.monotonic() >= self._pause.get(what, (0.0, 0))[0]

    def _postpone(self, what: str) -> None:
        failures = self._pause.get(what, (0.0, 0))[1] + 1
        self._pause[what] = (time.monotonic() + min(2.0 ** (failures - 1), _LONGEST_PAUSE_S), failures)

    def _say(self) -> None:
        self.status.updated = time.time()
        path = self.store.path / "mirror.json"
        draft = path.with_suffix(f".{os.getpid()}")
        try:
            draft.write_text(json.dumps(asdict(self.status)))
            draft.replace(path)
        except OSError as error:
            print(f"{path}: {error}", file=sys.stderr, flush=True)


def lock_path(store: Path) -> Path:
    """Held by the store's mirror."""
    return store / "mirror.lock"
