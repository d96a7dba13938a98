"""The store: a folder of runs, found from where the user stands."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from workbench.cards import StoreError, UnknownName, WorkbenchError
from workbench.journal import Inbox, Notes, RunDir
from workbench.runs.index import Ended, Index, stamp
from workbench.runs.run import Run

FOLDER = ".workbench"
_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"  # in the order in which text sorts
_BASE = len(_ALPHABET)


class Store:
    """A folder of runs.

    Args:
        path: the folder; created when the first run is.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    @classmethod
    def find(cls, start: Path | None = None) -> Store:
        """The store for a working directory.

        `$WORKBENCH_HOME`, else the nearest ancestor's ``.workbench/``, else one in the git root or `start` itself.
        """
        if home := os.environ.get("WORKBENCH_HOME"):
            return cls(Path(home).expanduser())
        here = (start or Path.cwd()).absolute()
        for folder in (here, *here.parents):
            if (folder / FOLDER).is_dir():
                return cls(folder / FOLDER)
        return cls((_git_root(here) or here) / FOLDER)

    def create(self, tree: Mapping[str, Any]) -> Run:
        """A new run folder holding the resolved configuration `tree`; its state is queued until a worker takes it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            rundir = self._new_folder(str(tree["experiment"]))
            draft = rundir.config.with_suffix(".part")
            draft.write_text(yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True))
            draft.replace(rundir.config)  # nobody reads half a configuration
            Inbox(rundir).close()
        except OSError as error:
            raise StoreError(
                f"The store {self.path} cannot be written ({error.strerror or error}); free space there, mend its "
                f"permissions, or set WORKBENCH_HOME to another folder."
            ) from error
        return Run(rundir, tree)

    def _new_folder(self, experiment: str) -> RunDir:
        """A fresh folder whose name sorts by time, within a second too: the last four letters tell 34 µs apart."""
        name = experiment.replace("/", "-").replace("_", "-")
        while True:
            now = time.time_ns()
            part = now % 10**9 * _BASE**3 // 10**9
            letters = "".join(_ALPHABET[part // _BASE**k % _BASE] for k in (2, 1, 0))
            stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now // 10**9))
            folder = self.path / f"{stamp}-{name}-{letters}{secrets.choice(_ALPHABET)}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return RunDir(folder)

    def ids(self) -> list[str]:
        """Ids of all runs, newest first."""
        try:
            entries = [e.name for e in os.scandir(self.path) if e.is_dir() and Path(e.path, "config.yaml").exists()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"The store {self.path} cannot be read: {error.strerror or error}.") from error
        return sorted(entries, reverse=True)

    def runs(self, experiment: str | None = None, *, group: str | None = None, active: bool = False) -> list[Run]:
        """Runs, newest first: of one experiment, of one group, or only those that have not ended."""
        return list(self._iterate(experiment, group, active))

    def _iterate(self, experiment: str | None, group: str | None, active: bool) -> Iterator[Run]:
        slug = experiment.replace("/", "-").replace("_", "-") if experiment else None
        index = Index(self.path)
        known, fresh = index.load(), []
        for run_id in self.ids():
            if slug and slug not in run_id:
                continue
            rundir, entry = RunDir(self.path / run_id), known.get(run_id)
            if entry is not None and entry.stamp == stamp(rundir):
                run = Run(rundir, entry.config, entry)
            else:
                try:
                    run = Run.open(rundir)
                except WorkbenchError:
                    continue  # a folder without a readable configuration is not listed
                written = stamp(rundir)
                try:
                    if written and run.ended:
                        facts = {"state": run.state, "step": run.step, "steps": run.steps}
                        fresh.append(Ended(run_id, written, run.config, facts))
                except WorkbenchError:
                    continue
            if experiment and run.experiment != experiment:
                continue
            if group and run.group != group:
                continue
            if active and run.ended:
                continue
            yield run
        if fresh:
            index.keep(fresh)

    def run(self, name: str) -> Run:
        """The run whose id is `name`, or whose id begins or ends with it; ``latest`` is the newest.

        Raises:
            UnknownName: if there is none.
            WorkbenchError: if several match.
        """
        ids = self.ids()
        if name == "latest" and ids:
            return Run.open(RunDir(self.path / ids[0]))
        found = [i for i in ids if i == name] or [i for i in ids if i.startswith(name) or i.endswith(f"-{name}")]
        if not found:
            raise UnknownName("run", name, ids, where=str(self.path))
        if len(found) > 1:
            shown = ", ".join(found[:4]) + (", …" if len(found) > 4 else "")
            raise WorkbenchError(f"'{name}' could be any of {len(found)} runs ({shown}); type more of the id.")
        return Run.open(RunDir(self.path / found[0]))

    def notes(self, run_id: str) -> Notes:
        """What people and the mirror noted about a run."""
        return Notes(RunDir(self.path / run_id))


def store() -> Store:
    """The store for where one stands; see `Store.find`. ``workbench.store().runs()`` lists the runs."""
    return Store.find()


def run(name: str = "latest") -> Run:
    """The run of that id (or its beginning or end) in the store for where one stands; default: the newest."""
    return Store.find().run(name)


def _git_root(start: Path) -> Path | None:
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)
