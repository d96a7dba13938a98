"""One run, seen from outside: what it recorded, its commands, its forks. Works while it trains and after."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.cards import NotAllowed, RunFailed, check
from workbench.cards.controls import canonical, flat
from workbench.journal import Command, CommandRecord, Inbox
from workbench.runs.recorded import FINAL, Recorded

if TYPE_CHECKING:
    from workbench.journal import ArrayPoints, CheckpointRow, Points
    from workbench.runs.compare import Comparison

__all__ = ["FINAL", "Run"]


class Run(Recorded):
    """A run of a store. ``run["loss"]`` is a series, ``run.set(epsilon=0.2)`` moves a slider, `run.state` is fresh."""

    @functools.cached_property
    def _inbox(self) -> Inbox:
        return Inbox(self.dir)

    @functools.cached_property
    def _inherited(self) -> dict[str, Any]:
        """What the ancestors' applied sets had left when this run was forked, except what the fork was built with."""
        if self.fork_step is None:
            return {}
        if (kept_at_fork := self.reader.meta.get("values_at_fork")) is not None:
            return dict(kept_at_fork)
        from workbench.runs.lineage import commands

        kept: dict[str, Any] = {}
        for owner, record in commands(self):
            if owner.id != self.id and record.kind == "set" and record.outcome == "applied":
                kept.update(record.new)
        return {n: v for n, v in kept.items() if n not in self.config["run"].get("before", {})}

    def values(self) -> dict[str, Any]:
        """The present value of every control: the configuration with the applied sets on top."""
        leaves = flat(self.config)
        values = {n: leaves.get(n, c.default) for n, c in self.controls.items()} | self._inherited
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
            raise NotAllowed(f"The run {self.id} is {state}, so it takes no commands; restart or fork it.")
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

    # -- time travel --------------------------------------------------------------------------------------------------

    def fork(
        self,
        step: int,
        values: Mapping[str, Any] | None = None,
        *,
        before: int | None = None,
        paused: bool = False,
        name: str = "",
        start: bool = True,
        **more: Any,
    ) -> Run:
        """Start a child that has this run's state before `step`, changes `values` there, and goes its own way.

        ``run.fork(4200, lr=1e-4)``, ``run.fork(4200, {"optimizer.lr": 1e-4})``. It begins at the newest checkpoint at
        or before the step and trains up to it with the recorded commands, so that its state is this run's to the bit.

        Args:
            before: number of a command of that very step: those recorded before it are kept, it and later ones not.
            paused: let the child wait before its first step.
            name: what to call it in legends.
            start: False: only prepare it; a program of your own takes it with ``workbench.session(…, resume=id)``.

        Raises:
            InvalidValue, UnknownName: a wrong step, name or value; nothing is started.
            NotAllowed: a step that was not reached yet, or a control that only a new run can change.
        """
        from workbench.runs import branch

        return branch.fork(self, step, {**(values or {}), **more}, before=before, paused=paused, name=name, start=start)

    def back(self, count: int = 1) -> Run:
        """A paused run `count` steps before where this paused run stands: a fork without changes."""
        from workbench.runs import branch

        return branch.back(self, count)

    def replay(self, *, name: str = "", start: bool = True) -> Run:
        """Start a run of the same configuration, seed and commands; `identical_to` then says whether it is the same."""
        from workbench.runs import branch

        return branch.replay(self, name=name, start=start)

    def restart(self) -> Run:
        """Let this run, stopped, failed or lost, go on from its last checkpoint; it ends as if nothing had happened."""
        from workbench.runs import branch

        return branch.restart(self)

    @property
    def checkpoints(self) -> list[CheckpointRow]:
        """Its finished checkpoints whose files are there, oldest step first."""
        from workbench.runs import timetravel

        return timetravel.checkpoints(self)

    def identical_to(self, other: Run, *, first: int | None = None) -> Comparison:
        """Compare metrics, arrays and final weights to the bit; false, with the first difference, if they differ.

        Compared are deterministic signals from step `first` on (default: from where their lineages part), never times.
        """
        from workbench.runs import compare

        return compare.identical(self, other, first)

    def history(self, name: str) -> Points | ArrayPoints:
        """A signal's points, with those of its ancestors before the fork."""
        from workbench.runs import compare

        return compare.history(self, name)

    def ramp(self, name: str, *, to: float, over: int, at: int | None = None) -> list[Command]:
        """Move a control evenly to `to` in `over` steps, from step `at` (default: as soon as possible) on."""
        from workbench.runs import ramps

        return ramps.ramp(self, name, to=to, over=over, at=at)

    # -- waiting ------------------------------------------------------------------------------------------------------

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
