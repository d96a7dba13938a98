"""Requests that make, compare, name and delete runs: fork, replay, restart, back, compare, note, delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.cards import InvalidValue, NotAllowed
from workbench.figures.requests import operation
from workbench.figures.source import REPLACED
from workbench.runs import Run
from workbench.runs.compare import report
from workbench.runs.housekeeping import delete as remove
from workbench.runs.remarks import annotate

if TYPE_CHECKING:
    from workbench.figures.feed import Feed


@operation
def fork(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """A child of a run from a step on, shown beside its parent."""
    step, before = _whole(args.get("step"), "A fork's step"), args.get("before")
    with _opened(feed, args.get("run")) as parent:
        child = parent.fork(
            step,
            args.get("values") or {},
            before=None if before is None else _whole(before, "The number of a command"),
            paused=bool(args.get("paused")),
            name=str(args.get("name") or "").strip(),
        )
        return {"runs": _beside(feed, parent, child), "run": child.id}


@operation
def replay(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """The run once more, from its configuration, seed and recorded commands, shown beside it."""
    with _opened(feed, args.get("run")) as original:
        made = original.replay()
        return {"runs": _beside(feed, original, made), "run": made.id}


@operation
def restart(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """Stopped, failed or lost runs go on from their last checkpoint."""
    wanted = args.get("runs") or []
    if not wanted:
        raise NotAllowed("No run is named that could go on.")
    for run_id in wanted:
        with _opened(feed, run_id) as run:
            run.restart()
    return {"runs": feed.run_ids}


@operation
def back(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """Paused runs, some steps earlier: paused forks without changes, shown in the place of their parents.

    The parents are stopped (and can be resumed): nobody sees them any more, and they would hold a worker each.
    """
    count = _whole(args.get("count", 1), "The number of steps to go back")
    labels = {w.id: w.run.label for w in feed.watched()}
    made: dict[str, str] = {}
    try:
        for run_id in args.get("runs") or feed.run_ids:
            with _opened(feed, run_id) as run:
                child = run.back(count)
                annotate(child, name=labels.get(run_id, run.label))
                made[run_id] = child.id
                run.notes.set(REPLACED, child.id)
                run.stop(source="panel")
    finally:
        if made:  # also when the second of two was refused: what was made is shown
            feed.attach([made.get(i, i) for i in feed.run_ids])
    return {"runs": feed.run_ids, "forks": made}


@operation
def compare(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """How two runs differ: configuration, interventions, first differing step."""
    with _opened(feed, args.get("a")) as a, _opened(feed, args.get("b")) as b:
        return dict(report(a, b))


@operation
def note(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """Write beside a run: its name, a star, a note, whether it is archived."""
    written = {k: args[k] for k in ("name", "star", "note", "archived") if args.get(k) is not None}
    with _opened(feed, args.get("run")) as run:
        kept = annotate(run, **written)
    for watched in feed.watched():
        if watched.id == run.id:
            watched.look_at_notes()
    feed.refresh()
    return {"run": run.id, **kept}


@operation
def delete(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """Remove a run's folder for good."""
    with _opened(feed, args.get("run")) as run:
        shown = feed.run_ids
        feed.show([i for i in shown if i != run.id])  # first: nobody reads what is being removed
        try:
            remove(run)
        except BaseException:
            feed.show(shown)
            raise
    return {"runs": feed.run_ids}


@contextmanager
def _opened(feed: Feed, run_id: Any) -> Iterator[Run]:
    """A run of this experiment, opened for this request alone: the feed's own readers serve the charts."""
    if not run_id or not isinstance(run_id, str):
        raise InvalidValue("The request names no run.")
    run = Run.open(feed.source.folder(run_id))
    try:
        yield run
    finally:
        run.reader.close()


def _beside(feed: Feed, old: Run, new: Run) -> list[str]:
    """Show the new run after the one it was made from."""
    shown: Sequence[str] = [i for i in feed.run_ids if i != new.id] or [old.id]
    at = shown.index(old.id) + 1 if old.id in shown else len(shown)
    return feed.attach([*shown[:at], new.id, *shown[at:]])


def _whole(value: Any, what: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(f"{what} is a whole number; got {value!r}.")
    return value
