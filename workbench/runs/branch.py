"""New runs from old ones: fork, replay, step back; and the restart of a run that stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from workbench.cards import InvalidValue, NotAllowed, StoreError, check
from workbench.cards.controls import canonical
from workbench.journal import Inbox
from workbench.runs.launch import start_queued
from workbench.runs.run import FINAL, Run
from workbench.runs.store import Store
from workbench.runs.timetravel import effects

_LINEAGE: dict[str, Any] = {"parent": "", "fork_step": None, "fork_before": None, "replay_of": "", "before": {}}


def fork(
    run: Run,
    step: int,
    changes: Mapping[str, Any],
    *,
    before: int | None = None,
    paused: bool = False,
    name: str = "",
    start: bool = True,
) -> Run:
    """A child that has the state of `run` before `step` and goes its own way from there; see `Run.fork`."""
    if isinstance(step, bool) or step != int(step) or step < 0:
        raise InvalidValue(f"A fork starts before a step, a whole number from 0 on; got {step!r}.")
    if run.parent and step < (run.fork_step or 0):  # what lies before its own beginning is its parent's
        parent = Store(run.dir.path.parent).run(run.parent)
        return fork(parent, step, changes, paused=paused, name=name, start=start)
    reached = _reached(run)
    if step > reached:
        raise NotAllowed(f"{run.id} has only come to step {reached:,}, so it cannot be forked at step {step:,}.")
    if before is not None:
        _known_row(run, before, step)
    live, relaunched = _sorted_changes(run, changes)
    values = run.values()
    length = relaunched.get("steps", run.steps)
    if length is not None and step >= length:
        raise NotAllowed(f"{run.id} ends at step {length:,}: nothing is left to train. Fork with more, as in steps=…")
    tree = _tree(run, name=name)
    tree["run"].update(
        parent=run.id, fork_step=step, fork_before=before, before={n: values[n] for n in relaunched}
    )  # fmt: skip
    for full, value in relaunched.items():
        _put(tree, full, value)
    made = _create(run, tree, start)
    inbox = Inbox(made.dir)  # before the worker starts, so that nothing depends on who is quicker
    if live:
        inbox.issue("set", {"values": live}, at_step=step, source="fork")
    if paused:
        inbox.issue("pause", {}, at_step=step, source="fork")
    return _begin(made, inbox, start)


def back(run: Run, count: int) -> Run:
    """A paused fork `count` steps before where `run` stands, with nothing changed."""
    if isinstance(count, bool) or count != int(count) or count < 1:
        raise InvalidValue(f"back takes a number of steps of at least 1; got {count!r}.")
    if run.state != "paused":
        raise NotAllowed(f"{run.id} is {run.state}; pause it before stepping back.")
    here = _reached(run)
    if count > here:
        raise NotAllowed(f"{run.id} stands before step {here:,}, so it cannot go back {count:,} steps.")
    return fork(run, here - count, {}, paused=True, name=run.config.get("run", {}).get("name", ""))


def replay(run: Run, *, name: str = "", start: bool = True) -> Run:
    """A new run of the same configuration and seed with the recorded commands at their recorded steps."""
    tree = _tree(run, name=name)
    mine = tree["run"]
    lineage = run.config.get("run", {})
    mine.update({key: lineage.get(key, empty) for key, empty in _LINEAGE.items()}, replay_of=run.id)
    tree["rules"] = []  # what they did is among the recorded commands
    made = _create(run, tree, start)
    inbox = Inbox(made.dir)
    for record in effects(run):
        payload = {"values": record.new} if record.kind == "set" else record.payload
        inbox.issue(record.kind, payload, at_step=record.step, source="replay")
    if run.state == "stopped":
        inbox.issue("stop", {}, at_step=run.step + 1, source="replay")
    return _begin(made, inbox, start)


def restart(run: Run) -> Run:
    """Let a run that was stopped, failed or was lost go on from its last checkpoint, in the same folder."""
    state = run.state
    if state == "finished":
        raise NotAllowed(f"{run.id} has finished; to train it on, fork it at its end with more steps, as in steps=…")
    if state not in FINAL:
        raise NotAllowed(f"{run.id} is {state}; only a stopped, failed or lost run can be restarted.")
    _can_be_started(run)
    run.notes.set("wanted", {"attempt": 1 + int(run.reader.meta.get("attempt", -1)), "time": time.time()})
    if run.dir.journal.exists():
        os.utime(run.dir.journal)  # what the store's index knows of it is out of date
    start_queued(Store(run.dir.path.parent))
    return run


def _reached(run: Run) -> int:
    """The step before which the run stands."""
    return max(run.step + 1, run.fork_step or 0)


def _sorted_changes(run: Run, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The changes checked, as those that take effect by a command and those for which the run is built anew."""
    controls = run.controls
    checked = check(controls, changes, where=run.id) if controls else {canonical(k): v for k, v in changes.items()}
    live: dict[str, Any] = {}
    relaunched: dict[str, Any] = {}
    for name, value in checked.items():
        if name in controls and controls[name].when == "launch":
            if not controls[name].fork:
                raise NotAllowed(
                    f"{name} is decided at launch and shapes everything before the fork, so a fork cannot change it; "
                    f"start a new run: workbench run {run.experiment} arm={run.arm} {name}={value}"
                )
            if run.card is None:
                raise NotAllowed(f"{name} is decided at launch: your own program must be started anew to change it.")
            relaunched[name] = value
        else:
            live[name] = value
    return live, relaunched


def _known_row(run: Run, seq: int, step: int) -> None:
    record = run.outcome(seq)
    if record is None or record.step != step:
        raise InvalidValue(f"{run.id} recorded no command {seq} at step {step:,}.")


def _tree(run: Run, *, name: str) -> dict[str, Any]:
    """A copy of the run's configuration for a new run of its own."""
    tree = {key: (dict(value) if isinstance(value, Mapping) else value) for key, value in run.config.items()}
    tree["run"] = {**tree.get("run", {}), **_LINEAGE, "name": name}
    return tree


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for part in parents:
        tree[part] = dict(tree[part])
        tree = tree[part]
    tree[last] = value


def _create(run: Run, tree: Mapping[str, Any], start: bool) -> Run:
    if start:
        _can_be_started(run)
    made = Store(run.dir.path.parent).create(tree)
    if start and made.card is None:
        made.notes.set("wanted", {"attempt": 0, "time": time.time()})
    return made


def _begin(made: Run, inbox: Inbox, start: bool) -> Run:
    inbox.close()
    if start:
        start_queued(Store(made.dir.path.parent))
    return made


def _can_be_started(run: Run) -> None:
    """Refuse, in words, what no worker of ours can train."""
    if run.card is not None:
        return
    command = run.config.get("run", {}).get("command")
    if not command:
        raise NotAllowed(
            f"{run.id} was trained by a program of your own that cannot be started from here (a notebook?). Prepare a "
            f"fork or replay with start=False, then pass resume=<its id> to workbench.session(…) in that program."
        )
    if any("***" in part for part in command):
        raise StoreError(f"The command that started {run.id} held a secret, which was not kept; start it by hand.")
