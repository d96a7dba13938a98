"""One run, seen from outside: its state, its series, its commands. Works while it trains and after."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from workbench.cards import (
    Card,
    Control,
    Finding,
    NotAllowed,
    RunFailed,
    StoreError,
    UnknownName,
    card,
    check,
    experiments,
)
from workbench.cards.controls import canonical, flat
from workbench.journal import Command, CommandRecord, Inbox, Notes, Reader, RunDir
from workbench.runs.index import Ended, stamp

if TYPE_CHECKING:
    import pandas as pd

    from workbench.journal import Points

FINAL = ("finished", "stopped", "failed", "lost")
_RATE_SECONDS = 5.0


class Run:
    """A run of a store. ``run["loss"]`` is a series, ``run.set(epsilon=0.2)`` moves a slider, `run.state` is fresh.

    Args:
        rundir: its folder.
        config: its resolved configuration (`config.yaml`), flat at the root.
        settled: what the store's index knows of it, if it has ended; the journal is then opened only when asked for.
    """

    def __init__(self, rundir: RunDir, config: Mapping[str, Any], settled: Ended | None = None) -> None:
        self.dir, self.config = rundir, dict(config)
        self._settled = settled
        self._inbox: Inbox | None = None
        self._speed: deque[tuple[float, int]] = deque()

    @classmethod
    def open(cls, rundir: RunDir) -> Run:
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
    def label(self) -> str:
        """What to call it in a legend: its own name, else its arm, else the end of its id."""
        return str(self.config.get("run", {}).get("name") or self.arm or self.id.rsplit("-", 1)[-1])

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
        if state == "queued" and (worker := self.notes.get("worker")):
            return "starting" if _alive(worker["pid"]) else "lost"
        return state

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
        return list(self.reader.commands())

    @property
    def pending(self) -> list[Command]:
        """Commands that the worker has not decided yet."""
        self.refresh()
        return list(self.reader.pending())

    def values(self) -> dict[str, Any]:
        """The present value of every control: the configuration with the applied sets on top."""
        leaves = flat(self.config)
        values = {n: leaves.get(n, c.default) for n, c in self.controls.items()}
        for record in self.interventions:
            if record.kind == "set" and record.outcome == "applied":
                values.update(record.new)
        return values

    # -- steering -----------------------------------------------------------------------------------------------------

    def set(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        at_step: int | None = None,
        source: str = "notebook",
        **more: Any,
    ) -> Command:
        """Move controls, all at the same step: ``run.set(epsilon=0.2)``, ``run.set({"optimizer.lr": 1e-4})``.

        Returns the command; `wait_outcome` tells what became of it.

        Raises:
            UnknownName, InvalidValue: a wrong name or value; nothing is sent.
            NotAllowed: the run has ended, or a control is decided at launch.
        """
        asked = {**(values or {}), **more}
        controls = self.controls
        checked = check(controls, asked, where=self.id) if controls else {canonical(k): v for k, v in asked.items()}
        for name, value in checked.items():
            if name in controls and controls[name].when == "launch":
                raise NotAllowed(
                    f"{name} is decided at launch and cannot move in {self.id}; start a new run: "
                    f"workbench run {self.experiment} arm={self.arm} {name}={value}"
                )
        return self._issue("set", {"values": checked}, at_step=at_step, source=source)

    def pause(self, *, source: str = "notebook") -> Command:
        """Hold before the next step."""
        return self._issue("pause", {}, source=source)

    def resume(self, *, source: str = "notebook") -> Command:
        """Go on after a pause."""
        return self._issue("resume", {}, source=source)

    def do_steps(self, count: int = 1, *, source: str = "notebook") -> Command:
        """Train `count` steps, then pause."""
        return self._issue("step", {"count": count}, source=source)

    def stop(self, *, at_step: int | None = None, source: str = "notebook") -> Command:
        """End the run before its next step (or before `at_step`); what it recorded stays."""
        return self._issue("stop", {}, at_step=at_step, source=source)

    def checkpoint(self, *, source: str = "notebook") -> Command:
        """Save the training state at the next step."""
        return self._issue("checkpoint", {}, source=source)

    def action(self, name: str, *, at_step: int | None = None, source: str = "notebook") -> Command:
        """Press one of the experiment's buttons."""
        return self._issue("action", {"name": name}, at_step=at_step, source=source)

    def probe(self, name: str, *, source: str = "notebook") -> Command:
        """Ask for an expensive look once."""
        return self._issue("probe", {"name": name}, source=source)

    def _issue(self, kind: str, payload: Mapping[str, Any], *, at_step: int | None = None, source: str) -> Command:
        state = self.state
        if state in FINAL:
            raise NotAllowed(f"The run {self.id} is {state}, so it takes no commands; start a new run to go on.")
        if self._inbox is None:
            self._inbox = Inbox(self.dir)
        seq = self._inbox.issue(kind, payload, at_step=at_step, source=source)
        return Command(seq=seq, kind=kind, payload=dict(payload), at_step=at_step, source=source, time=time.time())

    def outcome(self, seq: int) -> CommandRecord | None:
        """What became of a command; None while it is pending."""
        return next((r for r in self.interventions if r.seq == seq), None)

    def wait_outcome(self, command: Command | int, timeout: float = 10.0) -> CommandRecord | None:
        """What became of a command, waiting up to `timeout` seconds; None if it is still pending then."""
        seq = command if isinstance(command, int) else command.seq
        end = time.monotonic() + timeout
        while True:
            if record := self.outcome(seq):
                return record
            if time.monotonic() > end or self.ended:
                return self.outcome(seq)
            time.sleep(0.02)

    def wait(self, timeout: float | None = None) -> str:
        """Wait until the run has ended; returns its final state, or the present one after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while (state := self.state) not in FINAL and (end is None or time.monotonic() < end):
            time.sleep(0.05)
        return state

    async def reached(self, step: int) -> Run:
        """Wait, without blocking the kernel, until `step` is recorded or the run has ended."""
        while self.step < step and not self.ended:  # noqa: ASYNC110 (what is awaited happens in another process)
            await asyncio.sleep(0.1)
        return self

    async def finished(self) -> Run:
        """Wait, without blocking the kernel, until the run has ended; `RunFailed` says why it did not end well."""
        while (state := self.state) not in FINAL:  # noqa: ASYNC110 (what is awaited happens in another process)
            await asyncio.sleep(0.1)
        if state in ("failed", "lost"):
            raise RunFailed(f"{self.id} {state}: {self.message}")
        return self


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
