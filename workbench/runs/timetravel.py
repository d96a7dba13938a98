"""Where a worker begins: which checkpoint to load, and which recorded commands to let take effect again after it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from workbench.cards import StoreError
from workbench.journal import CheckpointRow, CommandRecord, RunDir
from workbench.runs.run import Run

#: Commands that shape what is trained or recorded; the others (pause, step, stop …) leave no trace in either.
EFFECTS = ("set", "action", "probe")


@dataclass(frozen=True)
class Start:
    """The state that a worker builds before its first new step.

    Attributes:
        path: the checkpoint's file; None: the state before step 0, made from configuration and seed.
        sha256: of that file.
        step: the step before which that state stands.
        script: recorded commands to let take effect again, in order, each before its step.
        hold: the first step that no earlier attempt recorded; new sets and actions wait for it.
        own: whether the checkpoint is the run's own (then recorded commands count from its watermark on).
        watermark: id of the run's own last recorded command whose effect is in the checkpoint.
    """

    path: Path | None = None
    sha256: str = ""
    step: int = 0
    script: tuple[CommandRecord, ...] = ()
    hold: int = 0
    own: bool = False
    watermark: int = 0


def effects(run: Run) -> list[CommandRecord]:
    """The applied sets, actions and probes of a run, in the order in which they took effect."""
    return sorted((r for r in run.interventions if r.outcome == "applied" and r.kind in EFFECTS), key=lambda r: r.id)


def checkpoints(run: Run) -> list[CheckpointRow]:
    """The run's finished checkpoints whose files are there, oldest step first."""
    run.refresh()
    return sorted(
        (row for row in run.reader.checkpoints() if (run.dir.checkpoints / row.path).exists()),
        key=lambda row: (row.step, row.id),
    )


def start(run: Run, *, without: AbstractSet[str] = frozenset()) -> Start:
    """Where the worker of `run` begins: at its last checkpoint, at its parent's state, or at step 0.

    `without` names checkpoint files (by SHA-256) that were tried and found damaged. Raises `StoreError` when the run
    was forked and its parent is gone while it still needs it.
    """
    mine = effects(run)
    decided = [r.step or 0 for r in run.interventions if r.outcome == "applied"]
    hold = max([run.fork_step or 0, run.step + 1, *decided])
    for row in reversed(checkpoints(run)):
        if row.sha256 not in without:
            script = tuple(r for r in mine if r.id > row.watermark)
            path = run.dir.checkpoints / row.path
            return Start(path, row.sha256, row.step, script, hold, own=True, watermark=row.watermark)
    base = _origin(run, without)
    return Start(base.path, base.sha256, base.step, (*base.script, *mine), hold)


def before(run: Run, step: int, seq: int | None = None, *, without: AbstractSet[str] = frozenset()) -> Start:
    """How to build the state of `run` before `step`: with every command of earlier steps in effect, none of that step.

    `seq` keeps those commands of `step` itself that were recorded before the command of that number.
    """
    mine = effects(run)
    row_id = next((r.id for r in run.interventions if r.seq == seq), None) if seq is not None else None
    kept = [r for r in mine if (r.step or 0) < step or (row_id is not None and r.step == step and r.id < row_id)]
    after = [r.id for r in mine if r not in kept]
    for row in reversed(checkpoints(run)):
        if row.sha256 not in without and row.step <= step and all(row.watermark < i for i in after):
            script = tuple(r for r in kept if r.id > row.watermark)
            return Start(run.dir.checkpoints / row.path, row.sha256, row.step, script)
    base = _origin(run, without)
    return Start(base.path, base.sha256, base.step, (*base.script, *kept))


def _origin(run: Run, without: AbstractSet[str]) -> Start:
    """The state in which the run itself began, before any command of its own."""
    if not run.parent:
        return Start()
    folder = RunDir(run.dir.path.parent / run.parent)
    if not folder.config.exists():
        raise StoreError(
            f"{run.id} was forked from {run.parent}, which is not in {folder.path.parent} any more, and has no "
            f"checkpoint of its own yet, so it cannot be built."
        )
    return before(Run.open(folder), run.fork_step or 0, run.fork_before, without=without)
