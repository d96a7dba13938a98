"""What a run has recorded, seen from outside: what it is, how it stands, its series, its commands."""

from __future__ import annotations

import functools
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from workbench.cards import (
    Card,
    Control,
    Finding,
    StoreError,
    UnknownName,
    card,
    experiments,
)
from workbench.journal import Command, CommandRecord, Notes, Reader, RunDir
from workbench.runs.index import Ended, stamp

if TYPE_CHECKING:
    import pandas as pd

    from workbench.journal import Points

FINAL = ("finished", "stopped", "failed", "lost")
_RATE_SECONDS = 5.0


class Recorded:
    """A run as its folder shows it. ``run["loss"]`` is a series, `run.state` is fresh; `Run` adds what it can be told.

    Args:
        rundir: its folder.
        config: its resolved configuration (`config.yaml`), flat at the root.
        settled: what the store's index knows of it, if it has ended; the journal is then opened only when asked for.
    """

    def __init__(self, rundir: RunDir, config: Mapping[str, Any], settled: Ended | None = None) -> None:
        self.dir, self.config = rundir, dict(config)
        self._settled = settled
        self._speed: deque[tuple[float, int]] = deque()
        self._notes_stamp: list[int] = []
        self._notes_read: dict[str, Any] = {}

    @classmethod
    def open(cls, rundir: RunDir) -> Self:
        """The run in a folder; `StoreError` if its configuration cannot be read."""
        try:
            with rundir.config.open() as file:
                config = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, yaml.YAMLError) as error:
            raise StoreError(f"{rundir.config} cannot be read: {error}.") from error
        if not isinstance(config, dict) or "experiment" not in config:
            raise StoreError(f"{rundir.config} is not the configuration of a run.")
        return cls(rundir, config)

    @functools.cached_property
    def reader(self) -> Reader:
        """The journal's reader."""
        return Reader(self.dir)

    def _known(self, fact: str) -> Any:
        """A fact from the store's index, while the run has not been touched since; else None."""
        if self._settled is not None and stamp(self.dir) != self._settled.stamp:
            self._settled = None
        return None if self._settled is None else self._settled.facts[fact]

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.state}, step {self.step:,}>"

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Its folder's name: date, time, experiment and four letters."""
        return self.dir.id

    @property
    def experiment(self) -> str:
        """``family/method``."""
        return str(self.config["experiment"])

    @property
    def arm(self) -> str:
        """Name of the arm; empty: the configuration's defaults."""
        return str(self.config.get("arm") or "")

    @property
    def preset(self) -> str:
        """Name of the preset; empty: none."""
        return str(self.config.get("preset") or "")

    @property
    def seed(self) -> int:
        """The random seed."""
        return int(self.config.get("seed", 0))

    @property
    def group(self) -> str:
        """Shared by runs that were started together."""
        return str(self.config.get("run", {}).get("group") or "")

    @property
    def parent(self) -> str:
        """Id of the run this one was forked from; empty: none."""
        return str(self.config.get("run", {}).get("parent") or "")

    @property
    def fork_step(self) -> int | None:
        """The step before which it left its parent's path; None for a run that is no fork."""
        step = self.config.get("run", {}).get("fork_step")
        return None if step is None else int(step)

    @property
    def fork_before(self) -> int | None:
        """Number of its parent's command before which it left; None: before every command of that step."""
        seq = self.config.get("run", {}).get("fork_before")
        return None if seq is None else int(seq)

    @property
    def replay_of(self) -> str:
        """Id of the run it repeats; empty: none."""
        return str(self.config.get("run", {}).get("replay_of") or "")

    @property
    def kind(self) -> str:
        """``fork``, ``replay`` or empty."""
        return "replay" if self.replay_of else "fork" if self.parent else ""

    @property
    def label(self) -> str:
        """What to call it in a legend: the name it was given, else its arm, else the end of its id."""
        given = self._noted().get("name") or self.config.get("run", {}).get("name")
        return str(given or self.arm or self.id.rsplit("-", 1)[-1])

    @property
    def card(self) -> Card | None:
        """The card of its experiment; None for an experiment of the user's own."""
        return card(self.experiment) if self.experiment in experiments() else None

    @property
    def controls(self) -> dict[str, Control]:
        """Every control by dotted name: as the running session declared them, else as the card does."""
        if declared := self.reader.meta.get("controls"):
            return {n: Control(**{**c, "choices": tuple(c["choices"])}) for n, c in declared.items()}
        return self.card.controls if self.card else {}

    # -- how it stands ------------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Look for news; True if there was any. The properties below call it themselves."""
        return self.reader.refresh()

    @property
    def state(self) -> str:
        """queued, starting, running, paused, finished, stopped, failed or lost."""
        if known := self._known("state"):
            return str(known)
        self.refresh()
        state = self.reader.state
        asked = self._asked_again() if state == "queued" or state in FINAL else 0.0
        if state == "queued" or asked:
            worker = self._noted().get("worker")
            if worker and worker["time"] >= asked:
                return "starting" if _alive(worker["pid"]) else "lost"
            return "queued"
        return state

    def _asked_again(self) -> float:
        """When a restart was asked for that no worker has begun yet (seconds since 1970); 0: none was."""
        wanted = self._noted().get("wanted") or {}
        if wanted.get("attempt", -1) <= int(self.reader.meta.get("attempt", -1)):
            return 0.0
        return float(wanted["time"])

    def _noted(self) -> dict[str, Any]:
        """All notes, read again only when somebody wrote."""
        stamp = []
        for path in (self.dir.notes, self.dir.notes.with_name(self.dir.notes.name + "-wal")):
            try:
                stamp.append(path.stat().st_mtime_ns)
            except OSError:
                stamp.append(0)
        if stamp != self._notes_stamp:
            self._notes_stamp, self._notes_read = stamp, self.notes.all()
        return self._notes_read

    @property
    def message(self) -> str:
        """Why it ended as it did, in one sentence; empty if there is nothing to say."""
        if self.state == "lost":
            return f"The worker's process ended without a word (killed, out of memory?). Last output: {self.dir.log}"
        return str(self.reader.message or "")

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state in FINAL

    @property
    def step(self) -> int:
        """The last step recorded; -1 before the first."""
        if (known := self._known("step")) is not None:
            return int(known)
        self.refresh()
        return int(self.reader.last_step)

    @property
    def steps(self) -> int | None:
        """How many steps it is to train; None if that is not known."""
        total = self._known("steps") or self.reader.meta.get("steps", self.config.get("steps"))
        return int(total) if total is not None else None

    @property
    def rate(self) -> float | None:
        """Steps a second over the last seconds this object watched; None until it has watched two."""
        now, step = time.monotonic(), self.step
        self._speed.append((now, step))
        while self._speed[0][0] < now - _RATE_SECONDS and len(self._speed) > 2:
            self._speed.popleft()
        then, before = self._speed[0]
        span = now - then
        return (step - before) / span if span > 0.3 and before >= 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the present rate; None if that is not known."""
        rate, steps = self.rate, self.steps
        return (steps - 1 - self.step) / rate if rate and steps else None

    @property
    def notes(self) -> Notes:
        """Names, stars and mirror ids: what may be written after the run has ended."""
        return Notes(self.dir)

    # -- what it recorded ---------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Points:
        """Every recorded point of a scalar signal: `.steps`, `.values`, `.times`, as arrays of one length."""
        self.refresh()
        kinds = self.reader.names()
        if name not in kinds:
            raise UnknownName("signal", name, kinds, where=self.id)
        if kinds[name] != "scalar":
            return self.reader.arrays(name)  # type: ignore[return-value]
        return self.reader.scalars(name)

    def frame(self) -> pd.DataFrame:
        """All scalar signals as a DataFrame, one row a step; missing values are NaN."""
        import pandas as pd

        self.refresh()
        columns = {}
        for name, kind in self.reader.names().items():
            if kind == "scalar":
                points = self.reader.scalars(name)
                columns[name] = pd.Series(points.values, index=points.steps)
        return pd.DataFrame(columns).rename_axis("step").sort_index()

    @property
    def findings(self) -> list[Finding]:
        """What the detectors found, newest version of each."""
        self.refresh()
        return list(self.reader.findings())

    @property
    def interventions(self) -> list[CommandRecord]:
        """Every command with its outcome, in order."""
        self.refresh()
        late = self.reader.pending() if self.reader.state == "finished" else []  # sent while the run was ending
        return [*self.reader.commands(), *(CommandRecord.of(c, "expired", reason="the run had ended") for c in late)]

    @property
    def pending(self) -> list[Command]:
        """Commands that the worker has not decided yet."""
        self.refresh()
        return [] if self.reader.state == "finished" else list(self.reader.pending())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a zombie has ended
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return True
