"""Two runs side by side: whether they are the same to the bit, else where they part first; settings, interventions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.cards.controls import flat
from workbench.journal import ArrayPoints, CommandRecord
from workbench.runs.differences import Difference, first_difference
from workbench.runs.lineage import Segment, commands, history, segments
from workbench.runs.run import Run

__all__ = ["Comparison", "Difference", "history", "identical", "parting", "report"]

_SHAPING = ("set", "action", "probe", "stop")
#: Fields of a configuration that say where a run comes from and what it is called, not what it trains.
_NOT_SCIENCE = (
    "run.name", "run.group", "run.parent", "run.fork_step", "run.fork_before", "run.replay_of", "run.before",
    "run.command", "run.cwd",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """What `identical` found; true if the runs are the same to the bit and have both ended.

    Attributes:
        a, b: ids of the runs.
        first: the first difference, None if the signals are the same.
        signals: names of the signals that differ (in order of names).
        missing: those of them that one of the runs has not at all.
        compared: how many signals were compared; `skipped` are declared as not repeatable.
        start: the step from which on they were compared; what lies before is shared.
        steps: how many steps were compared.
        weights: names of the final weight tensors that differ.
        tensors: how many were compared; None: not recorded, or the runs did not end at the same step.
        training: ids of the runs that have not ended: what they still record is not compared.
        damage: what could not be read, in words.
    """

    a: str
    b: str
    first: Difference | None
    signals: tuple[str, ...]
    missing: tuple[str, ...]
    compared: int
    skipped: tuple[str, ...]
    start: int
    steps: int
    weights: tuple[str, ...]
    tensors: int | None
    training: tuple[str, ...]
    damage: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs in what could be compared, if they still train: so far."""
        return self.first is None and not self.weights and bool(self.compared or self.tensors)

    def __bool__(self) -> bool:
        return self.same and not self.training and not self.damage

    def __str__(self) -> str:
        return " ".join(filter(None, (self._verdict(), *self._reservations())))

    def _verdict(self) -> str:
        if not self.compared and not self.tensors:
            return "There is nothing to compare: neither run has recorded a value."
        signals = f"{_count(self.compared, 'signal')} over {_count(self.steps, 'step')}"
        since = f" from step {self.start:,} on" if self.start else ""
        if self.first is not None:
            differ = "differs" if len(self.signals) == 1 else "differ"
            weights = "; weights differ" if self.weights else "; the final weights are identical"
            return (
                f"They differ first {self.first} ({len(self.signals)} of {_count(self.compared, 'signal')} {differ}"
                f"{'' if self.tensors is None else weights})."
            )
        if self.weights:
            tensors = _count(self.tensors, "final weight tensor")
            differ = f"{len(self.weights)} of {tensors} differ, the first {self.weights[0]}"
            return f"{signals} {'is' if self.compared == 1 else 'are'} identical{since}, but {differ}."
        weights = f" and {_count(self.tensors, 'weight tensor')}" if self.tensors else ""
        return f"Identical{' so far' if self.training else ''}{since}: {signals}{weights}, to the bit."

    def _reservations(self) -> Iterator[str]:
        if self.training:
            yield f"{' and '.join(self.training)} still {'trains' if len(self.training) == 1 else 'train'}."
        if self.damage:
            yield f"Not everything could be read: {self.damage[0]}"


def identical(a: Run, b: Run, first: int | None = None) -> Comparison:
    """Whether two runs recorded the same: deterministic signals to the bit (never times) and, at the end, weights.

    Runs of one lineage are compared from the step on at which they part, each with its ancestors' steps since then;
    `first` names another step to begin at. Series are read a block at a time, whatever their length.
    """
    for run in (a, b):
        run.refresh()
    ours, theirs = segments(a), segments(b)
    start = parting(ours, theirs) if first is None else max(0, first)
    training = tuple(dict.fromkeys(run.id for run in (a, b) if not run.ended))
    # The newest step of a run that trains may still gain values.
    last = min((run.step - 1 for run in (a, b) if not run.ended), default=None)
    names = {name for part in (*ours, *theirs) for name in part.run.reader.names()}
    skipped = {name for name in names if not (_repeatable(a, name) and _repeatable(b, name))}
    found: list[Difference] = []
    missing, compared = [], 0
    for name in sorted(names - skipped):
        streams = [_stream(parts, name, start, last) for parts in (ours, theirs)]
        difference, seen = first_difference(name, *streams)
        compared += any(seen)
        if difference is not None:
            found.append(difference)
            missing += [name] if not all(seen) else []
    until = max(a.step, b.step) if last is None else last
    differing, tensors = _weights(a, b)
    return Comparison(
        a.id, b.id, min(found, key=lambda d: (d.step, d.signal), default=None), tuple(d.signal for d in found),
        tuple(missing), compared, tuple(sorted(skipped)), start, max(0, until + 1 - start), differing, tensors,
        training, tuple(f"{run.id}: {text}" for run in _involved(ours, theirs) for text in run.reader.damage),
    )  # fmt: skip


def parting(ours: list[Segment], theirs: list[Segment]) -> int:
    """The first step that two lineages don't share (0 for runs that are not related) and that both still know."""
    step = 0
    for mine, other in zip(ours, theirs, strict=False):
        if (mine.run.id, mine.first) != (other.run.id, other.first):
            break
        ends = [part.last for part in (mine, other) if part.last is not None]
        if not ends:  # a run and itself
            break
        step = min(ends) + 1
        if mine.last != other.last:
            break
    return max(step, ours[0].first, theirs[0].first)


def report(a: Run, b: Run) -> dict[str, Any]:
    """The whole comparison as plain data: verdict, settings that differ, interventions that only one has."""
    found = identical(a, b)
    settings = {run.id: _settings(run) for run in (a, b)}
    names = dict.fromkeys([*settings[a.id], *settings[b.id]])
    pairs = [(name, settings[a.id].get(name), settings[b.id].get(name)) for name in names]
    applied = {run.id: _applied(run) for run in (a, b)}
    shared = set(applied[a.id]) & set(applied[b.id])
    return {
        "a": a.id,
        "b": b.id,
        "identical": bool(found),
        "aligned_at": found.start,
        "steps": found.steps,
        "signals": {"compared": found.compared, "differing": list(found.signals), "missing": list(found.missing),
                    "skipped": list(found.skipped)},
        "weights": {"compared": found.tensors, "differing": list(found.weights)},
        "config": {
            "differing": [[n, _plain(x), _plain(y)] for n, x, y in pairs if not _equal(x, y)],
            "identical": [[n, _plain(x)] for n, x, y in pairs if _equal(x, y)],
        },
        "interventions": {
            "a_only": [row for key, row in applied[a.id].items() if key not in shared],
            "b_only": [row for key, row in applied[b.id].items() if key not in shared],
            "both": [row for key, row in applied[a.id].items() if key in shared],
        },
        "first_difference": None if found.first is None else {
            "signal": found.first.signal, "step": found.first.step, "index": list(found.first.index),
            "a": _plain(found.first.a), "b": _plain(found.first.b),
        },
        "training": list(found.training),
        "damage": list(found.damage),
        "text": str(found),
    }  # fmt: skip


# -- values -----------------------------------------------------------------------------------------------------------


def _repeatable(run: Run, name: str) -> bool:
    signal = run.card.signal(name) if run.card else None
    return signal is None or signal.deterministic


def _involved(*lineages: list[Segment]) -> Iterable[Run]:
    return {part.run.id: part.run for parts in lineages for part in parts}.values()


def _stream(parts: list[Segment], name: str, start: int, last: int | None) -> Iterator[ArrayPoints]:
    """The blocks of a signal along a lineage, from the step `start` to `last`; texts as objects."""
    for part in parts:
        low = max(start, part.first)
        high = min((s for s in (last, part.last) if s is not None), default=None)
        kind = part.run.reader.names().get(name)
        if kind is None or (high is not None and high < low):
            continue
        if kind != "text":
            yield from part.run.reader.blocks(name, low, high)
        elif texts := part.run.reader.texts(name, low, high):
            steps, times = np.array([t.step for t in texts]), np.array([t.time for t in texts])
            yield ArrayPoints(steps, np.array([t.text for t in texts], dtype=object), times)


def _weights(a: Run, b: Run) -> tuple[tuple[str, ...], int | None]:
    """Names of final weights whose SHA-256 differs, and how many there are; None where they cannot be compared."""
    ours, theirs = (run.reader.meta.get("weights") or {} for run in (a, b))
    if not ours or not theirs or a.step != b.step or {a.state, b.state} - {"finished", "stopped"}:
        return (), None
    names = [*ours, *(n for n in theirs if n not in ours)]
    return tuple(n for n in names if ours.get(n) != theirs.get(n)), len(names)


# -- settings and interventions ---------------------------------------------------------------------------------------


def _settings(run: Run) -> dict[str, Any]:
    return {n: v for n, v in flat(run.config).items() if not any(n == s or n.startswith(s + ".") for s in _NOT_SCIENCE)}


def _equal(x: Any, y: Any) -> bool:
    return bool(x == y) or (isinstance(x, float) and isinstance(y, float) and math.isnan(x) and math.isnan(y))


def _applied(run: Run) -> dict[tuple[int, str, str, int], dict[str, Any]]:
    """What was done to a run and its ancestors before the forks, by step and deed: who did it makes no difference."""
    found: dict[tuple[int, str, str, int], dict[str, Any]] = {}
    times: Counter[tuple[int, str, str]] = Counter()
    for owner, record in commands(run):
        if record.outcome == "applied" and record.kind in _SHAPING and record.step is not None:
            deed = in_words(record)
            what = deed if record.kind != "set" else repr(sorted(record.new.items()))
            key = record.step, record.kind, what
            times[key] += 1
            found[*key, times[key]] = {
                "run": owner.id, "seq": record.seq, "step": record.step, "kind": record.kind, "source": record.source,
                "text": deed,
            }  # fmt: skip
    return found


def in_words(record: CommandRecord) -> str:
    """A command in words: ``epsilon 0.1 → 0.2``, ``shock``, ``stop``."""
    if record.new:
        return ", ".join(
            f"{n} {record.old[n]} → {v}" if n in record.old else f"{n} → {v}" for n, v in record.new.items()
        )
    return str(record.payload.get("name") or record.kind)


def _count(number: int | None, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _plain(value: Any) -> Any:
    """For JSON, which has no NaN and no infinities: those as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
