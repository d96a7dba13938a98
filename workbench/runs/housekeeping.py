"""Keeping house: what the runs take of the disk, and giving it back."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from workbench.cards import InvalidValue, NotAllowed, StoreError, WorkbenchError
from workbench.journal import RunDir, RunLock, is_held
from workbench.runs.remarks import remarks
from workbench.runs.run import Run
from workbench.runs.store import Store

DELETED = "deleted"  # folder of the store: what the copies elsewhere must still hear of
_RUN_ID = re.compile(r"\d{8}-\d{6}-.+-[2-9a-z]{4}")
_CHECKPOINT = re.compile(r"step\d+-\d+-\d+\.pt")
_GRACE = 600.0  # seconds: what is younger may be on its way
_DAY = 86_400.0


def disk(run: Run) -> dict[str, int]:
    """Bytes that a run takes, by part: journal, checkpoints, artifacts, log, other."""
    home = run.dir
    parts = dict.fromkeys(("journal", "checkpoints", "artifacts", "log", "other"), 0)
    tops = {home.checkpoints.name: "checkpoints", home.artifacts.name: "artifacts", home.log.name: "log"}
    for path, size in _files(home.path):
        top = path.relative_to(home.path).parts[0]
        parts["journal" if top.startswith(home.journal.name) else tops.get(top, "other")] += size
    return parts


def usage(store: Store) -> dict[str, int]:
    """Bytes that a store takes, by part: those of its runs together, MLflow's own, other."""
    total: Counter[str] = Counter()
    ids = store.ids()
    for run_id in ids:
        total.update(disk(Run(RunDir(store.path / run_id), {})))
    runs = set(ids)
    for path, size in _files(store.path):
        top = path.relative_to(store.path).parts[0]
        if top not in runs:
            total["MLflow" if top.startswith(("mlflow.", "mlartifacts")) else "other"] += size
    return dict(total)


@dataclass(frozen=True)
class Leftover:
    """Files that may go: of which run (or folder), what they are, why they are not needed, and how much they take."""

    run: str
    what: str
    why: str
    paths: tuple[Path, ...] = field(repr=False)
    size: int

    def remove(self) -> None:
        """Delete the files; what is gone already is no fault."""
        for path in self.paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    path.unlink()


@dataclass(frozen=True)
class Cleaning:
    """What `gc` removed (or would remove), and what it left alone and why."""

    leftovers: tuple[Leftover, ...]
    kept: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes given back."""
        return sum(one.size for one in self.leftovers)


def gc(store: Store, *, dry_run: bool = False, archived: bool = False, older_days: float | None = None) -> Cleaning:
    """Remove what nothing needs: unfinished checkpoint files, those no journal names, half-deleted folders.

    `archived` and `older_days` also remove the checkpoints of archived runs and of runs that ended so many days ago:
    their curves stay, but they can be forked and resumed no longer. Starred runs, and those that a fork without a
    checkpoint of its own still needs, keep theirs. A run that trains is never touched.

    Raises:
        InvalidValue: a negative number of days.
        StoreError: something cannot be deleted.
    """
    if older_days is not None and not older_days >= 0:
        raise InvalidValue(f"The age in days must be a number of at least 0; got {older_days!r}.")
    kept: list[str] = []
    found = list(_half_deleted(store))
    runs = store.runs()
    needed = _needed(runs)
    for run in runs:
        if run.state in ("queued", "starting", "running", "paused"):
            continue
        try:
            found += _unnamed(run, kept)
            found += _dispensable(run, archived, older_days, needed, kept)
        except WorkbenchError as error:
            kept.append(f"{run.id} was left alone: {error}")
    return Cleaning(tuple(found if dry_run else [one for one in found if _remove(store, one, kept)]), tuple(kept))


def _remove(store: Store, leftover: Leftover, kept: list[str]) -> bool:
    """Delete the files while no worker can begin to use them."""
    try:
        with RunLock.acquire(store.path / leftover.run / "worker.lock"):
            leftover.remove()
    except NotAllowed:
        kept.append(f"{leftover.run} was left alone: a worker has taken it up.")
        return False
    except OSError as error:
        raise StoreError(f"{leftover.paths[0]} cannot be deleted: {error.strerror or error}.") from error
    return True


def delete(run: Run) -> int:
    """Remove a run with all that it recorded; returns the bytes given back. Its copy in MLflow is marked as deleted.

    Raises:
        NotAllowed: it trains, or a fork needs one of its checkpoints.
        StoreError: its folder cannot be removed.
    """
    store = Store(run.dir.path.parent)
    if run.state in ("starting", "running", "paused"):
        raise NotAllowed(f"{run.id} is {run.state}; stop it first: workbench stop {run.id}")
    if child := _needed(store.runs()).get(run.id):
        raise NotAllowed(
            f"The fork {child} of {run.id} has no checkpoint of its own yet and begins at one of its; let it train to "
            f"its first checkpoint, or delete it first."
        )
    size = sum(disk(run).values())
    lock = RunLock.acquire(run.dir.lock)  # no worker may begin meanwhile
    try:
        _leave_word(store, run)
        run.reader.close()
        run.dir.config.unlink()  # from here on it is no run any more; what a crash leaves is found by `gc`
        shutil.rmtree(run.dir.path)
    except OSError as error:
        raise StoreError(f"{run.dir.path} cannot be removed: {error.strerror or error}.") from error
    finally:
        lock.release()
    return size


def _leave_word(store: Store, run: Run) -> None:
    """For the mirror, which marks the copy as deleted as soon as the other side answers."""
    copies = {k: v for k, v in run.notes.all().items() if k == "mlflow" or k.startswith("mirror ")}
    if copies:
        folder = store.path / DELETED
        folder.mkdir(exist_ok=True)
        draft = folder / f"{run.id}.part"
        draft.write_text(json.dumps(copies))
        draft.replace(folder / f"{run.id}.json")


# -- what may go ------------------------------------------------------------------------------------------------------


def _needed(runs: Iterable[Run]) -> dict[str, str]:
    """Runs whose checkpoints a fork may still have to begin at: their ids, and such a fork of each."""
    by_id = {run.id: run for run in runs}
    needed: dict[str, str] = {}
    for run in by_id.values():
        child = run
        while child.parent and child.fork_step is not None and not child.checkpoints and child.parent not in needed:
            needed[child.parent] = child.id
            if child.parent not in by_id:
                break
            child = by_id[child.parent]
    return needed


def _unnamed(run: Run, kept: list[str]) -> Iterator[Leftover]:
    """Files among the checkpoints that were never finished, or that the journal does not name."""
    files = [(path, size) for path, size in _files(run.dir.checkpoints) if path.parent == run.dir.checkpoints]
    parts = [(path, size) for path, size in files if path.suffix == ".part"]
    if parts:
        yield _leftover(run, "unfinished checkpoints", "a worker ended while it wrote them", parts)
    written = [(path, size) for path, size in files if _CHECKPOINT.fullmatch(path.name)]
    if not written or not run.dir.journal.exists():
        return
    run.refresh()
    named = {row.path for row in run.reader.checkpoints()}
    strangers = [(path, size) for path, size in written if path.name not in named]
    if strangers and run.reader.damage:
        kept.append(f"{run.id} keeps {len(strangers)} checkpoints that its journal, which is damaged, may have named.")
    elif strangers:
        yield _leftover(run, "orphaned checkpoints", "the journal does not name them", strangers)


def _dispensable(
    run: Run, archived: bool, older_days: float | None, needed: dict[str, str], kept: list[str]
) -> Iterator[Leftover]:
    """The checkpoints of a run that was put away, where that was asked for."""
    if not archived and older_days is None:
        return
    said = remarks(run)
    age = (time.time() - _touched(run)) / _DAY
    if archived and said["archived"]:
        why = "the run is archived"
    elif older_days is not None and age >= older_days:
        why = f"the run ended {age:,.0f} days ago"
    else:
        return
    named = {row.path for row in run.reader.checkpoints()}
    files = [(path, size) for path, size in _files(run.dir.checkpoints) if path.name in named]
    if not files:
        return
    if said["star"]:
        kept.append(f"{run.id} keeps its checkpoints, since it has a star.")
    elif run.id in needed:
        kept.append(f"{run.id} keeps its checkpoints, since its fork {needed[run.id]} has none of its own.")
    else:
        yield _leftover(run, "checkpoints", f"{why}; it can be forked and resumed no longer", files)


def _half_deleted(store: Store) -> Iterator[Leftover]:
    """Folders of runs whose configuration is gone: deletions (or starts) that were cut off."""
    try:
        folders = [Path(e.path) for e in os.scandir(store.path) if e.is_dir() and _RUN_ID.fullmatch(e.name)]
    except FileNotFoundError:
        return
    for folder in sorted(folders):
        if (folder / "config.yaml").exists() or is_held(folder / "worker.lock"):
            continue
        if time.time() - folder.stat().st_mtime > _GRACE:
            size = sum(size for _, size in _files(folder))
            yield Leftover(folder.name, "a half-deleted run", "its configuration is gone", (folder,), size)


def _leftover(run: Run, what: str, why: str, files: list[tuple[Path, int]]) -> Leftover:
    return Leftover(run.id, what, why, tuple(path for path, _ in files), sum(size for _, size in files))


def _touched(run: Run) -> float:
    """When the run last recorded anything, seconds since 1970."""
    try:
        return run.dir.journal.stat().st_mtime
    except OSError:
        return run.dir.path.stat().st_mtime


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file below a folder with its size in bytes; what vanishes meanwhile is left out."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                yield path, path.lstat().st_size
