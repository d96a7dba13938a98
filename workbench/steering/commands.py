"""Deciding commands: what is due at a boundary, whether it is allowed, and what the record says. No effects here."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workbench.cards import Control, NotAllowed, WorkbenchError, check
from workbench.cards.controls import get, put
from workbench.journal import Command, CommandRecord

#: Commands that act on the run rather than on the training; they never wait for a window, a stage or a hold.
IMMEDIATE = ("pause", "resume", "step", "checkpoint", "stop")
KINDS = ("set", "action", "probe", *IMMEDIATE)


@dataclasses.dataclass
class Desk:
    """Where commands wait and are decided.

    Attributes:
        controls: what may be set, by dotted name (live, stage and launch).
        config: the configuration object they stand in.
        beside: values of controls that stand beside the configuration (probes' cadences, an undeclared optimizer).
        actions, probes: names that may be asked for.
        veto: a last word from the training side on (name, value): the reason of a refusal, or None.
        hold: sets and actions wait until this step (after a resume: the first one no earlier attempt recorded).
        alive_until: a command of before this time (seconds since 1970) had arrived in an earlier attempt, where it
            would have been decided if it had been late: it was waiting for a stage or a window.
    """

    controls: dict[str, Control]
    config: Any
    beside: dict[str, Any] = dataclasses.field(default_factory=dict)
    actions: set[str] = dataclasses.field(default_factory=set)
    probes: set[str] = dataclasses.field(default_factory=set)
    veto: Callable[[str, Any], str | None] = lambda name, value: None
    attempt: int = 0
    hold: int = 0
    alive_until: float = 0.0
    waiting: list[Command] = dataclasses.field(default_factory=list)
    late: set[int] = dataclasses.field(default_factory=set)

    def receive(self, commands: Iterable[Command], step: int) -> None:
        """Take commands in, in the order of their issue; `step` is the next that can still be changed."""
        for command in commands:
            self.waiting.append(command)
            passed = command.at_step is not None and command.at_step < max(step, self.hold)
            if passed and command.time > self.alive_until:
                self.late.add(command.seq)

    def due(self, step: int, *, stage: str = "", window: bool = True) -> list[Command]:
        """Take out what is due before `step`: at a boundary, or (with `stage`) at the boundary of a stage."""
        now: list[Command] = []
        later: list[Command] = []
        for command in self.waiting:
            (now if self._is_due(command, step, stage, window) else later).append(command)
        self.waiting = later
        return now

    def _is_due(self, command: Command, step: int, stage: str, window: bool) -> bool:
        if command.seq in self.late:
            return True
        if command.at_step is not None and command.at_step > step:
            return False
        if command.kind in IMMEDIATE:
            return not stage
        if step < self.hold or not window:
            return False
        waits_for = self.stage_of(command)
        return waits_for == stage if waits_for or stage else True

    def stage_of(self, command: Command) -> str:
        """The stage whose boundary a set waits for; empty: none, it is live (or wrong, and refused at once)."""
        if command.kind != "set" or self._refusal(command):
            return ""
        stages = {self.controls[n].stage for n in command.payload["values"] if n in self.controls}
        return next((s for s in sorted(stages) if s), "")

    def decide(self, commands: list[Command], step: int, *, paused: bool) -> list[CommandRecord]:
        """A record for each command, in order, with its outcome; the caller makes them durable, then takes effect."""
        records = [self._decide(command, step, paused) for command in commands]
        later: set[str] = set()
        for i in range(len(records) - 1, -1, -1):
            record = records[i]
            if record.kind == "set" and record.outcome == "applied":
                if set(record.new) <= later and record.source != "replay":  # what had an effect once has it again
                    records[i] = dataclasses.replace(
                        record, outcome="superseded", reason="set again by a later command due at the same step"
                    )
                later |= set(record.new)
        return self._with_old(records)

    def _decide(self, command: Command, step: int, paused: bool) -> CommandRecord:
        reason = self._refusal(command)
        outcome = "refused" if reason else "applied"
        if command.seq in self.late:
            outcome, reason = "expired", f"step {command.at_step:,} had passed when it arrived (at step {step:,})"
        elif not reason and command.kind == "resume" and not paused:
            outcome, reason = "refused", "the run is not paused"
        new: Mapping[str, Any] = {}
        if outcome == "applied" and command.kind == "set":
            new = check(self.controls, command.payload["values"])
        return CommandRecord(
            **{f.name: getattr(command, f.name) for f in dataclasses.fields(Command)},
            step=step, outcome=outcome, reason=reason, old={}, new=dict(new), attempt=self.attempt, id=0,
        )  # fmt: skip

    def _with_old(self, records: list[CommandRecord]) -> list[CommandRecord]:
        """Old values are those at the moment of each command, so that a chain of sets reads as a chain."""
        present: dict[str, Any] = {}
        out = []
        for record in records:
            if record.kind == "set" and record.outcome == "applied":
                old = {n: present.get(n, self.value(n)) for n in record.new}
                present.update(record.new)
                record = dataclasses.replace(record, old=old)
            out.append(record)
        return out

    def _refusal(self, command: Command) -> str:
        """Why a command cannot be applied; empty if it can."""
        kind, payload = command.kind, command.payload
        if kind not in KINDS:
            return f"there is no command '{kind}'; known: {', '.join(KINDS)}"
        if kind in ("action", "probe"):
            known = self.actions if kind == "action" else self.probes
            name = payload.get("name", "")
            return (
                ""
                if name in known
                else f"this run has no {kind} '{name}'; it has: {', '.join(sorted(known)) or 'none'}"
            )
        if kind == "step":
            count = payload.get("count", 1)
            return "" if isinstance(count, int) and count >= 1 else f"step takes a count of at least 1; got {count!r}"
        if kind != "set":
            return ""
        try:
            self.validate(payload.get("values") or {})
        except WorkbenchError as error:
            return str(error)
        return ""

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values, checked one by one and together; raises a `WorkbenchError` that says what is wrong."""
        if not values:
            raise NotAllowed("A set needs at least one value, as in set(epsilon=0.1).")
        checked = check(self.controls, values, where="this run")
        for name, value in checked.items():
            if self.controls[name].when == "launch":
                raise NotAllowed(
                    f"{name} is decided at launch and cannot move while the run trains; start a new run with "
                    f"{name}={value}."
                )
            if reason := self.veto(name, value):
                raise NotAllowed(reason)
        trial = copy.deepcopy(self.config)
        for name, value in checked.items():
            if name not in self.beside:
                put(trial, name, value)
        if hasattr(trial, "validate"):
            trial.validate()
        return checked

    def value(self, name: str) -> Any:
        """The present value of a control, plain."""
        value = self.beside[name] if name in self.beside else get(self.config, name)
        return getattr(value, "value", value)
