"""Who came from whom: the tree of a store's runs, and the steps that a run has from its ancestors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from workbench.cards import UnknownName, WorkbenchError
from workbench.journal import ArrayPoints, CommandRecord, Points, RunDir
from workbench.runs.run import Run
from workbench.runs.store import Store


@dataclass
class Node:
    """A run of the store with what was forked from it or repeats it, in order of the fork's step, then of time."""

    run: Run
    children: list[Node] = field(default_factory=list)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """(depth, node) of this one and all below it, each before its children."""
        waiting = [(depth, self)]
        while waiting:
            at, node = waiting.pop()
            yield at, node
            waiting += [(at + 1, child) for child in reversed(node.children)]


@dataclass(frozen=True)
class Segment:
    """The steps from `first` to `last` (None: to its end) of a lineage, which `run` recorded."""

    run: Run
    first: int
    last: int | None


def origin(run: Run) -> str:
    """Id of the run that this one was forked from or repeats; empty: of none."""
    return run.replay_of or run.parent


def tree(store: Store, runs: Iterable[Run] | None = None) -> list[Node]:
    """The store's runs (or those of them that are given) as trees, the newest root first.

    A run whose origin is not among them (deleted, or not asked for) is a root.
    """
    nodes = {run.id: Node(run) for run in (store.runs() if runs is None else runs)}
    above = {run_id: origin(node.run) for run_id, node in nodes.items()}
    roots = []
    for run_id in sorted(nodes):
        if above[run_id] in nodes and not _circular(run_id, above):
            nodes[above[run_id]].children.append(nodes[run_id])
        else:
            roots.append(nodes[run_id])
    for node in nodes.values():
        node.children.sort(key=lambda child: (child.run.fork_step or 0, child.run.id))
    return roots[::-1]


def _circular(run_id: str, above: dict[str, str]) -> bool:
    """Whether the way up from a run comes back to it, as only a configuration edited by hand can say."""
    at = above[run_id]
    seen = {""}
    while at not in seen and at != run_id:
        seen.add(at)
        at = above.get(at, "")
    return at == run_id


def line(run: Run) -> Iterator[Run]:
    """The run, its parent, and so on up; an ancestor that was deleted ends the way."""
    seen: set[str] = set()
    while run.id not in seen:
        yield run
        seen.add(run.id)
        parent = RunDir(run.dir.path.parent / run.parent)
        if run.fork_step is None or not parent.config.exists():
            return
        try:
            run = Run.open(parent)
        except WorkbenchError:
            return


def segments(run: Run) -> list[Segment]:
    """Where the steps of a run are recorded, the first ones first: its ancestors up to each fork, then its own journal.

    The steps that only a deleted ancestor recorded are missing.
    """
    found: list[Segment] = []
    last: int | None = None
    for one in line(run):
        first = one.fork_step or 0
        if last is None or first <= last:  # else it was forked from itself before it had a step of its own
            found.append(Segment(one, first, last))
            last = first - 1
    return found[::-1]


def history(run: Run, name: str) -> Points | ArrayPoints:
    """A signal from the first step on: the run's own points with its ancestors' before the fork.

    Arrays of a shape that is not the newest one's are left out, as in `run[name]`. Raises `UnknownName` if neither the
    run nor an ancestor recorded the signal.
    """
    parts: list[Points | ArrayPoints] = []
    known: dict[str, str] = {}
    for segment in segments(run):
        segment.run.refresh()
        reader = segment.run.reader
        names = reader.names()
        known |= names
        if name in names:
            read = reader.arrays if names[name] == "array" else reader.scalars
            parts.append(read(name, segment.first, segment.last))
    if not parts:
        raise UnknownName("signal", name, known, where=run.id)
    full = [part for part in parts if len(part)]
    if not full:
        return parts[-1]
    newest = full[-1].values
    alike = [p for p in full if (p.values.dtype, p.values.shape[1:]) == (newest.dtype, newest.shape[1:])]
    steps, times = (np.concatenate([getattr(p, part) for p in alike]) for part in ("steps", "times"))
    return type(full[-1])(steps, np.concatenate([p.values for p in alike]), times)


def commands(run: Run) -> list[tuple[Run, CommandRecord]]:
    """Every command with an outcome that has shaped a run, with the run that recorded it, the first ones first."""
    found: list[list[tuple[Run, CommandRecord]]] = []
    limit: float = math.inf
    child: Run | None = None
    for one in line(run):
        records = one.interventions
        if child is not None:
            fork, mark = child.fork_step or 0, child.config.get("run", {}).get("fork_before")
            edge = next((r.id for r in records if mark is not None and r.seq == mark), 0)
            records = [r for r in records if _inherited(r, fork, edge) and (fork <= limit or (r.step or 0) < limit)]
            limit = min(limit, fork)
        found.append([(one, r) for r in records])
        child = one
    return [pair for part in reversed(found) for pair in part]


def _inherited(record: CommandRecord, fork: int, edge: int) -> bool:
    """Whether a fork before the step `fork` has this command of its parent: an earlier one, or one before a row."""
    return record.step is not None and (record.step < fork or (record.step == fork and record.id < edge))
