"""Keeping checkpoints: when one is due, writing it on a thread of its own, thinning within a disk budget."""

from __future__ import annotations

import errno
import itertools
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cards import Control, StoreError
from workbench.journal import CheckpointRow, Writer

if TYPE_CHECKING:
    from workbench.steering.recorder import Recorder

#: Controls that stand beside the configuration in every run whose state can be saved.
CONTROLS = (
    Control(
        name="run.checkpoint_every", kind="int", default=0, min=0, max=10**9, label="checkpoint every", unit="steps",
        group="Checkpoints", help="0: by time",
    ),
    Control(
        name="run.checkpoint_seconds", kind="float", default=5.0, min=0.1, max=86_400, label="at most every", unit="s",
        group="Checkpoints", help="least time between two, when they are taken by time", scale="log",
    ),
    Control(
        name="run.checkpoint_mb", kind="float", default=2048.0, min=0, max=10**7, label="disk space", unit="MB",
        group="Checkpoints", help="the oldest are thinned out first; 0: no checkpoints",
    ),
)  # fmt: skip

MOST = 100  # kept at once: dense near the end, logarithmically sparser before
_DENSE = 8  # of the newest that are never thinned for number
_PAUSE_SHARE, _WRITE_SHARE = 100, 10  # a pause takes at most 1 % of the time, writing at most 10 %
#: Why one was taken, in the order in which they go when space is needed; the first state of a fork never goes.
KINDS = ("periodic", "stop", "asked", "fork")


@dataclass(frozen=True)
class Kept:
    """A finished checkpoint: before which step, its file, its size in bytes, and why it was taken (one of `KINDS`)."""

    step: int
    path: Path
    size: int
    kind: str


@dataclass
class _Job:
    step: int
    watermark: int
    kind: str
    tree: dict[str, Any]
    flushed: threading.Event  # set when everything before the step is recorded and the detectors have seen it
    done: threading.Event


class Keeper:
    """Takes checkpoints of a run: the copy on the training thread, everything else on its own.

    Args:
        folder: of the files; made when the first is written.
        rows: checkpoints of earlier attempts.
        settings: values of `CONTROLS` by name; read afresh, so that they may change.
    """

    def __init__(
        self, folder: Path, writer: Writer, recorder: Recorder, rows: list[CheckpointRow], settings: Mapping[str, Any]
    ) -> None:
        from workbench.steering.snapshot import Snapshots

        self.folder, self._writer, self._recorder, self._settings = folder, writer, recorder, settings
        self._snapshots, self._others = Snapshots(), Snapshots()
        self._told: set[str] = set()  # places in the state that cannot be kept, as far as somebody said so
        for draft in folder.glob("*.part"):  # of an attempt that was killed while it wrote
            draft.unlink(missing_ok=True)
        self._kept = [Kept(r.step, folder / r.path, r.size, r.payload.get("kind", "periodic")) for r in rows]
        known = {r.path for r in rows}
        for file in folder.glob("*") if folder.exists() else ():
            if file.name not in known:  # a killed attempt was writing it, or had not recorded it yet
                file.unlink(missing_ok=True)
        self._serial = itertools.count()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._busy: _Job | None = None
        self._last = -1
        self._failing = False
        self._not_before = time.monotonic() + float(settings["run.checkpoint_seconds"])
        self._thread = threading.Thread(target=self._work, name="workbench-checkpoints", daemon=True)
        self._thread.start()

    @property
    def left_out(self) -> dict[str, str]:
        """Place → type of what stood in the state and could not be kept."""
        return self._snapshots.left_out

    def look(self, tree: Mapping[str, Any]) -> None:
        """Copy the state for nothing but to fill the buffers, and to learn what cannot be kept."""
        if self.idle:
            self._snapshots.take(tree)
        self._told.update(self.left_out)  # whoever looks says it

    def due(self, step: int, clock: float) -> bool:
        """Whether one should be taken before `step`, at monotonic time `clock`."""
        every = self._settings["run.checkpoint_every"]
        if every:
            return step % every == 0 and 0 < step != self._last and self._settings["run.checkpoint_mb"] > 0
        return clock >= self._not_before and self.idle and step > 0 and self._settings["run.checkpoint_mb"] > 0

    def has(self, step: int) -> bool:
        """Whether a checkpoint of that step was written."""
        return any(k.step == step for k in self._kept)

    @property
    def idle(self) -> bool:
        """Whether none is being written."""
        return self._busy is None or self._busy.done.is_set()

    def wait(self) -> None:
        """Until the last one taken is written and recorded, or has failed."""
        if self._busy is not None:
            self._busy.done.wait()

    def take(self, step: int, watermark: int, tree: Mapping[str, Any], kind: str, *, wait: bool = False) -> None:
        """Copy the state now; it is written and recorded meanwhile (`wait`: before this returns)."""
        self.wait()  # one snapshot at a time: its buffers are being written
        began = time.monotonic()
        job = _Job(step, watermark, kind, self._snapshots.take(tree), threading.Event(), threading.Event())
        pause = time.monotonic() - began
        self._busy, self._last = job, step
        self._not_before = time.monotonic() + max(float(self._settings["run.checkpoint_seconds"]), pause * _PAUSE_SHARE)
        self._recorder.mark(lambda detectors: self._reached(job, detectors))
        self._jobs.put(job)
        if wait:
            job.done.wait()

    def _reached(self, job: _Job, detectors: Mapping[str, Any]) -> None:
        """On the flush thread, when it has come to the job's step."""
        job.tree["detectors"] = self._others.take({"detectors": detectors})["detectors"]
        job.flushed.set()

    def close(self) -> None:
        """Finish what is being written and end the thread."""
        self._jobs.put(None)
        self._thread.join()

    # -- on the checkpoints' own thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.flushed.wait(60)
                began = time.monotonic()
                self._tell_left_out()
                self._write(job)
                spent = time.monotonic() - began
                self._not_before = max(self._not_before, time.monotonic() + spent * (_WRITE_SHARE - 1))
                self._tell_left_out()
            except Exception as error:  # noqa: BLE001 (no checkpoint is worth the training)
                self._failed(job, error)
            finally:
                job.done.set()

    def _write(self, job: _Job) -> None:
        from workbench.steering.snapshot import write

        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step{job.step:09d}-{self._writer.attempt}-{next(self._serial)}.pt"
        while True:
            try:
                size, digest = write(job.tree, path)
                break
            except (OSError, RuntimeError) as error:
                said = _system(error)
                full = said is not None and said.errno in (errno.ENOSPC, errno.EDQUOT)
                if not (full and self._make_room()):
                    raise
        try:
            self._writer.checkpoint(job.step, path.name, size, digest, job.watermark, {"kind": job.kind})
        except StoreError:
            path.unlink(missing_ok=True)
            raise
        self._kept.append(Kept(job.step, path, size, job.kind))
        self._failing = False
        self._thin()

    def _tell_left_out(self) -> None:
        """Name what came into the state since the last look and cannot be kept."""
        found = {**self.left_out, **self._others.left_out}
        for place in sorted(found.keys() - self._told):
            self._told.add(place)
            self._recorder.complain(
                f"{place} is a {found[place]}, which no checkpoint holds; what goes on from one goes on without it, "
                f"so bit-for-bit replay is not promised."
            )

    def _failed(self, job: _Job, error: Exception) -> None:
        self._not_before = time.monotonic() + 60
        if self._failing:  # said already
            return
        self._failing = True
        said = _system(error)
        self._recorder.complain(
            f"The checkpoint of step {job.step:,} could not be written to {self.folder} "
            f"({said.strerror if said is not None else error}); training goes on, and none is kept until one can be. "
            f"Free space there, or lower run.checkpoint_mb."
        )

    def _thin(self) -> None:
        for victim in surplus(self._kept, float(self._settings["run.checkpoint_mb"]) * 2**20):
            self._drop(victim)

    def _make_room(self) -> bool:
        victim = _least(self._kept, spare=1)
        if victim is None:
            return False
        self._drop(victim)
        return True

    def _drop(self, victim: Kept) -> None:
        self._kept.remove(victim)
        victim.path.unlink(missing_ok=True)


def surplus(kept: Sequence[Kept], budget: float) -> list[Kept]:
    """Which to give up, first ones first, so that at most `MOST` stay and they fit into `budget` bytes.

    The newest stays whatever the budget, and so does a fork's first state.
    """
    left, gone = list(kept), []
    while (len(left) > MOST and (victim := _least(left, spare=_DENSE))) or (
        sum(k.size for k in left) > budget and (victim := _least(left, spare=1))
    ):
        left.remove(victim)
        gone.append(victim)
    return gone


def _least(kept: Sequence[Kept], *, spare: int) -> Kept | None:
    """The one whose loss costs least: whose neighbours are closest to each other for its age."""
    kept = sorted(kept, key=lambda k: k.step)
    newest = kept[-1].step if kept else 0
    steps = [0, *(k.step for k in kept), newest]

    def loss(i: int) -> tuple[int, float]:
        return KINDS.index(kept[i].kind), (steps[i + 2] - steps[i]) / (newest - kept[i].step + 1)

    candidates = [i for i in range(len(kept) - spare) if kept[i].kind != "fork"]
    return kept[min(candidates, key=loss)] if candidates else None


def _system(error: BaseException | None) -> OSError | None:
    """What the system said to whoever raised this."""
    while error is not None and not (isinstance(error, OSError) and error.strerror):
        error = error.__cause__ or error.__context__
    return error


def settings_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The controls' first values from a run's configuration."""
    own = tree.get("run", {})
    return {c.name: c.check(own.get(c.name.removeprefix("run."), c.default)) for c in CONTROLS}
