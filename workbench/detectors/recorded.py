"""Detectors over something recorded: a journal, a CSV file, or arrays."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from workbench.cards.errors import InvalidValue, MissingData
from workbench.cards.findings import Finding
from workbench.detectors.base import Detector, Detectors
from workbench.detectors.catalogue import load

Columns = Mapping[str, tuple[np.ndarray, np.ndarray]]
STEP_NAMES = ("step", "global_step", "_step", "iteration", "iter")
_SPAN = 65_536  # steps of a journal held in memory at a time


class Recorded(Protocol):
    """What is used of a journal's reader."""

    @property
    def first_step(self) -> int:
        """Of the whole record."""

    @property
    def last_step(self) -> int:
        """The newest that was recorded."""

    def names(self) -> Mapping[str, str]:
        """Signal name → scalar, array or text."""

    def scalars(self, name: str, first: int | None = None, last: int | None = None) -> Any:
        """Points with `steps` and `values`."""

    def arrays(self, name: str, first: int | None = None, last: int | None = None) -> Any:
        """Points with `steps` and `values` (n, *shape)."""

    def commands(self) -> Sequence[Any]:
        """Commands with `kind`, `outcome`, `step` and `new`."""


def scan(source: Recorded | str | Path | Columns, detectors: Iterable[Detector] | None = None) -> list[Finding]:
    """Findings of a recorded run, the latest version of each, in order of their first step.

    `source` is a journal's reader, the path of a CSV file (one row a step, such as Lightning's ``metrics.csv``; empty
    cells are absent values), or a mapping name → (steps (n,), values (n,) or (n, *shape)). `detectors` are used up;
    None: all generic ones.
    """
    watch = Detectors(list(detectors) if detectors is not None else load())
    parts: Iterable[Columns]
    if isinstance(source, str | Path):
        parts = [read_csv(Path(source))]
    elif isinstance(source, Mapping):
        parts = [source]
    else:
        parts = _journal(source, watch)
    found: dict[str, Finding] = {}
    last = 0
    for part in parts:
        for steps, columns in blocks({name: series for name, series in part.items() if watch.wants(name)}):
            last = int(steps[-1])
            found.update((finding.key, finding) for finding in watch.update_block(steps, columns))
    found.update((finding.key, finding) for finding in watch.finish(last))
    return sorted(found.values(), key=lambda finding: (finding.first, finding.id, finding.subject))


def blocks(columns: Columns) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Series with steps of their own, cut into runs of consecutive steps at which the same ones have a value."""
    series = {
        name: (np.asarray(steps, np.int64), np.asarray(values))
        for name, (steps, values) in columns.items()
        if len(steps)
    }
    if not series:
        return
    names = list(series)
    steps = np.unique(np.concatenate([s for s, _ in series.values()]))
    present = np.zeros((len(names), len(steps)), bool)
    rows = {}
    for i, name in enumerate(names):
        own, values = series[name]
        own, newest = np.unique(own[::-1], return_index=True)  # the last value recorded for a step counts
        places = np.searchsorted(steps, own)
        present[i, places] = True
        rows[name] = (np.cumsum(present[i]) - 1, values[::-1][newest])
    borders = np.flatnonzero((present[:, 1:] != present[:, :-1]).any(axis=0)) + 1
    for low, high in zip([0, *borders.tolist()], [*borders.tolist(), len(steps)], strict=True):
        here = [name for i, name in enumerate(names) if present[i, low]]
        yield steps[low:high], {name: rows[name][1][rows[name][0][low] :][: high - low] for name in here}


def _journal(reader: Recorded, watch: Detectors) -> Iterator[Columns]:
    kinds = {name: kind for name, kind in reader.names().items() if kind != "text" and watch.wants(name)}
    controls = [c for c in reader.commands() if c.kind == "set" and c.outcome == "applied" and c.step is not None]
    for first in range(reader.first_step, reader.last_step + 1, _SPAN):
        last = first + _SPAN - 1
        part: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name, kind in kinds.items():
            points = reader.scalars(name, first, last) if kind == "scalar" else reader.arrays(name, first, last)
            part[name] = (points.steps, points.values)
        moved: dict[str, list[tuple[int, float]]] = {}
        for command in controls:
            if first <= command.step <= last:
                for name, value in command.new.items():
                    if isinstance(value, int | float) and name not in part:
                        moved.setdefault(name, []).append((command.step, float(value)))
        part.update({name: (np.array([s for s, _ in v]), np.array([x for _, x in v])) for name, v in moved.items()})
        yield part


def read_csv(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numeric columns of a CSV file with a header: name → (steps, values); without a step column rows are counted."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            table = [row for row in rows if row]
    except OSError as error:
        raise MissingData(f"{path} cannot be read: {error.strerror}. Give the path of a CSV file.") from error
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path} is not a text file; give a CSV file with a header line.") from error
    lower = [name.strip().lower() for name in header]
    at = next((lower.index(name) for name in STEP_NAMES if name in lower), None)
    places = np.array([_number(row, at) for row in table]) if at is not None else np.arange(float(len(table)))
    columns = {}
    for i, name in enumerate(header):
        if i == at:
            continue
        filled = np.array([i < len(row) and row[i].strip() != "" for row in table], bool) & np.isfinite(places)
        values = np.array([_number(row, i) if fill else 0.0 for row, fill in zip(table, filled, strict=True)])
        text = [row[i] for row, fill in zip(table, filled, strict=True) if fill]
        if text and not all(_is_number(cell) for cell in text):
            continue
        columns[name.strip()] = (places[filled].astype(np.int64), values[filled])
    if not any(len(steps) for steps, _ in columns.values()):
        raise InvalidValue(f"{path} has no column of numbers; give a CSV file with a header line and one row a step.")
    return columns


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(row: Sequence[str], column: int) -> float:
    cell = row[column] if column < len(row) else ""
    return float(cell) if _is_number(cell) else float("nan")
