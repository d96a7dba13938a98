"""What is read from a run: points, buckets, commands, events, checkpoints."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue

COMMAND_KINDS = ("set", "action", "probe", "pause", "resume", "step", "checkpoint", "stop")
OUTCOMES = ("applied", "refused", "superseded", "expired")
STATES = ("queued", "starting", "running", "paused", "finished", "stopped", "failed", "lost")
FINAL_STATES = ("finished", "stopped", "failed")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Points:
    """A scalar series: steps (n,) int64, values (n,) float64, times (n,) float64 in seconds since 1970."""

    steps: Ints
    values: Floats
    times: Floats

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class ArrayPoints:
    """An array series whose arrays share a shape: steps (n,), values (n, *shape) in their own dtype, times (n,)."""

    steps: Ints
    values: NDArray[Any]
    times: Floats

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True)
class TextPoint:
    """A recorded text."""

    step: int
    time: float
    text: str


@dataclass(frozen=True)
class Buckets:
    """A series summed up between step boundaries; fields are (n,) for scalars, (n, k) for arrays of k components.

    Bucket i holds ``edges[i] <= step < edges[i+1]``. Everything but `nonfinite` is
    over finite values: `count` int64, `mean`, `min`, `max`, `last` float64 (NaN where count is 0), `min_step` and
    `max_step` where the extremes lie (float64, NaN where count is 0). `nonfinite` int64 counts NaN and infinities,
    `nonfinite_steps` are the first few steps that have one (exact; with wide buckets one a chunk of values).
    `exact`: made from every value; else from statistics of 64 neighbouring values each, which may sit one bucket
    off when an edge cuts them (no extreme and no NaN is lost).
    """

    edges: Floats
    count: Ints
    mean: Floats
    min: Floats
    max: Floats
    last: Floats
    min_step: Floats
    max_step: Floats
    nonfinite: Ints
    nonfinite_steps: Ints
    exact: bool


@dataclass(frozen=True)
class Command:
    """What somebody asked a run to do."""

    seq: int
    kind: str
    payload: dict[str, Any]
    at_step: int | None
    source: str
    time: float


@dataclass(frozen=True)
class CommandRecord(Command):
    """A command and what became of it: `outcome` applied, refused, superseded or expired, decided before `step`.

    `old` and `new` are the values it changed. `attempt` and `id` are filled by the writer.
    """

    step: int | None = None
    outcome: str = "applied"
    reason: str = ""
    old: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)
    attempt: int = 0
    id: int = 0

    @classmethod
    def of(
        cls,
        command: Command,
        outcome: str,
        *,
        step: int | None = None,
        reason: str = "",
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
    ) -> CommandRecord:
        """The record of `command`'s outcome."""
        return cls(
            seq=command.seq,
            kind=command.kind,
            payload=command.payload,
            at_step=command.at_step,
            source=command.source,
            time=command.time,
            step=step,
            outcome=outcome,
            reason=reason,
            old=dict(old or {}),
            new=dict(new or {}),
        )


def command_from_row(row: tuple[Any, ...]) -> CommandRecord:
    """The record in a row (id, seq, kind, payload, at_step, source, time, step, outcome, reason, old, new, attempt)."""
    number, seq, kind, payload, at_step, source, time, step, outcome, reason, old, new, attempt = row
    return CommandRecord(
        seq=seq,
        kind=kind,
        payload=json.loads(payload),
        at_step=at_step,
        source=source,
        time=time,
        step=step,
        outcome=outcome,
        reason=reason,
        old=json.loads(old),
        new=json.loads(new),
        attempt=attempt,
        id=number,
    )


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` state, finding, warning, error, stage, note or effect."""

    id: int
    kind: str
    step: int | None
    time: float
    payload: dict[str, Any]
    attempt: int = 0


@dataclass(frozen=True)
class CheckpointRow:
    """A finished checkpoint: the state before `step`, all commands up to `watermark` applied."""

    id: int
    step: int
    path: str
    size: int
    sha256: str
    watermark: int
    time: float
    attempt: int
    payload: dict[str, Any]


def to_json(value: Any, what: str) -> str:
    """`value` as JSON (NaN and infinities in Python's spelling); NumPy values, paths and enums as plain ones."""
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"{what} must be plain data (numbers, text, lists, dicts): {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a {type(value).__name__} is not")
