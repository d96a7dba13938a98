"""From emits to the journal: one dict a step on the training thread, columns and detectors on the flush thread."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from workbench.cards import Finding, InvalidValue, WorkbenchError
from workbench.detectors import Detector, Detectors
from workbench.journal import Writer

FLUSH_SECONDS = 0.25
WAKE_ROWS = 50_000
WAIT_ROWS = 200_000
WAKE_BYTES = 64 << 20
_NUMBERS = (bool, int, float, np.number, np.bool_)
_CONTROL = "\0"  # marks a control's value among the rows: for detectors, not for the journal

_MARK = "\0mark"  # a row that is only a question to the flush thread

Row = tuple[int, float, dict[str, Any]]
Block = tuple[np.ndarray, np.ndarray, dict[str, Any]]


class Recorder:
    """Collects what is emitted and writes it, every 250 ms, in a thread of its own.

    The training thread only fills a dict (`put`) and hands it over at the step's end (`close_step`); a loop that
    outruns the thread waits there.
    """

    def __init__(self, writer: Writer, detectors: Sequence[Detector] = (), *, seconds: float = FLUSH_SECONDS) -> None:
        self._writer = writer
        self._detectors = Detectors(detectors)
        self._seconds = seconds
        self._row: dict[str, Any] = {}
        self._rows: deque[Row] = deque()
        self._bytes = 0
        self._wake = threading.Event()
        self._drained = threading.Event()
        self._lock = threading.Lock()
        self._closing = False
        self._first = True
        self._from = 0  # rows of earlier steps are not recorded
        self._earlier: dict[str, dict[int, float]] = {}
        self._complained: set[str] = set()
        self._untold: deque[str] = deque()
        self._thread = threading.Thread(target=self._run, name="workbench-flush", daemon=True)
        self._thread.start()

    def put(self, name: str, value: Any) -> None:
        """Keep a copy of `value` for the open step; the listener behind `emit`."""
        kind = type(value)
        if kind is float or kind is int:
            self._row[name] = value
        else:
            self._row[name] = self._copy(name, value)

    def _copy(self, name: str, value: Any) -> Any:
        if hasattr(value, "detach"):  # a torch tensor, without importing torch; first, because losses are tensors
            if value.is_cpu:
                return value.item() if value.ndim == 0 else _numpy(value.detach()).copy()
            copy = value.detach().clone()
            self._bytes += copy.numel() * copy.element_size()
            return copy
        if isinstance(value, _NUMBERS):
            return float(value)
        if isinstance(value, str):
            return value
        try:
            array = np.array(value)
        except ValueError:
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in "biuf":
            raise InvalidValue(f"emit('{name}', …) takes numbers, arrays, tensors or text; got {type(value).__name__}.")
        self._bytes += array.nbytes
        return float(array) if array.ndim == 0 else array

    def controls(self, step: int, values: dict[str, Any]) -> None:
        """Tell the detectors the values of controls from `step` on."""
        self._rows.append((step, time.time(), {_CONTROL + name: value for name, value in values.items()}))

    def begin(self, record_from: int, earlier: dict[str, dict[int, float]], detectors: dict[str, Any] | None) -> None:
        """Before the first step: what not to record, what to hold the values against, how the detectors stood."""
        self._from, self._earlier = record_from, earlier
        if detectors:
            self._detectors.load_state_dict(detectors)

    def mark(self, reached: Callable[[dict[str, Any]], None]) -> None:
        """Call `reached` with the detectors' state, on the flush thread, once all that was handed over is written."""
        self._rows.append((-1, 0.0, {_MARK: reached}))
        self._wake.set()

    def close_step(self, step: int, now: float) -> None:
        """Hand over what was emitted since the last call as step `step`, recorded at `now` (seconds since epoch)."""
        row = self._row
        if not row:
            return
        self._row = {}
        self._rows.append((step, now, row))
        if self._first and step >= self._from:
            self._first = False
            self._wake.set()
        elif len(self._rows) >= WAKE_ROWS or self._bytes >= WAKE_BYTES:
            self._wake.set()
            while len(self._rows) >= WAIT_ROWS and self._thread.is_alive():
                self._drained.clear()
                self._drained.wait(0.05)

    def flush(self, *, full: bool = False) -> None:
        """Write everything handed over so far; returns when it is committed."""
        with self._lock:
            self._write()
            self._writer.flush(full=full)

    @property
    def row(self) -> dict[str, Any]:
        """What was emitted in the step that is open."""
        return self._row

    def close(self, last_step: int, *, ended: bool = True) -> None:
        """Flush, let the detectors close what is open (if the run has `ended`), end the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        self.flush()
        if ended:
            self._report(self._detectors.finish(last_step))

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._seconds)
            self._wake.clear()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 (what cannot be recorded must not end the training)
                self.complain(f"{error}" if isinstance(error, WorkbenchError) else f"Recording failed: {error!r}.")
            if self._writer.problem:
                self.complain(self._writer.problem)
            elif self._untold:
                self._tell()
            self._drained.set()

    def complain(self, text: str) -> None:
        """Say it once in the worker's log and, where that still works, in the journal."""
        if text in self._complained:
            return
        self._complained.add(text)
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            print(text, file=sys.stderr, flush=True)
        self._untold.append(text)
        self._tell()

    def _tell(self) -> None:
        """Say in the journal what could not be said there so far."""
        with contextlib.suppress(IndexError):  # other threads may be at it too
            while True:
                text = self._untold.popleft()
                try:
                    self._writer.event("warning", {"text": text})
                except WorkbenchError:
                    self._untold.appendleft(text)
                    return

    def _write(self) -> None:
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        self._bytes = 0
        start = 0
        for end, row in enumerate(rows):
            if _MARK in row[2]:
                self._write_rows(rows[start:end])
                row[2][_MARK](self._detectors.state_dict())
                start = end + 1
        self._write_rows(rows[start:])

    def _write_rows(self, rows: list[Row]) -> None:
        quiet = next((i for i, row in enumerate(rows) if row[0] >= self._from), len(rows))
        for part, recorded in ((rows[:quiet], False), (rows[quiet:], True)):
            if part:
                groups = list(_blocks(part))
                if recorded:
                    self._record(groups)
                self._detect(groups, recorded)

    def _record(self, groups: list[Block]) -> None:
        blocks: dict[str, list[int]] = {}
        for number, (_, _, columns) in enumerate(groups):
            for name in columns:
                if not name.startswith(_CONTROL):
                    blocks.setdefault(name, []).append(number)
        together: dict[tuple[int, ...], list[str]] = {}
        for name, numbers in blocks.items():
            together.setdefault(tuple(numbers), []).append(name)
        for places, names in together.items():
            steps = np.concatenate([groups[i][0] for i in places])
            times = np.concatenate([groups[i][1] for i in places])
            scalars = {}
            for name in names:
                parts = [groups[i][2][name] for i in places]
                if all(isinstance(p, np.ndarray) for p in parts):
                    scalars[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
                else:
                    self._write_others(name, steps, times, [v for p in parts for v in p])
            if scalars:
                self._writer.append(steps, times, scalars)
                if self._earlier:
                    self._compare(steps, scalars)

    def _compare(self, steps: np.ndarray, scalars: dict[str, np.ndarray]) -> None:
        """Hold what is recorded a second time against the first; say the first difference, once."""
        for name in self._earlier.keys() & scalars.keys():
            earlier = self._earlier[name]
            for step, value in zip(steps.tolist(), scalars[name].tolist(), strict=True):
                before = earlier.pop(step, value)
                if before != value and not (before != before and value != value):
                    self._earlier = {}
                    self.complain(
                        f"Step {step:,} was trained again and is not the same: {name} is {value!r}, was {before!r}. "
                        f"The training depends on something that is not registered, or on the machine."
                    )
                    return
            if not earlier:
                del self._earlier[name]

    def _detect(self, groups: list[Block], recorded: bool) -> None:
        for steps, _, columns in groups:
            seen = {
                n.removeprefix(_CONTROL): c
                for n, c in columns.items()
                if self._detectors.wants(n.removeprefix(_CONTROL))
            }
            for part, arrays in _stacked(steps, seen):
                found = self._detectors.update_block(part, arrays)
                if recorded:
                    self._report(found)

    def _write_others(self, name: str, steps: np.ndarray, times: np.ndarray, values: list[Any]) -> None:
        start = 0
        values = [_numpy(v) if hasattr(v, "detach") else v for v in values]
        for end in range(1, len(values) + 1):
            if end < len(values) and _alike(values[start], values[end]):
                continue
            first = values[start]
            if isinstance(first, str):
                for i in range(start, end):
                    self._writer.append_text(name, int(steps[i]), float(times[i]), values[i])
            else:
                stack = np.stack([np.asarray(v) for v in values[start:end]])
                if stack.ndim == 1:
                    self._writer.append(steps[start:end], times[start:end], {name: stack.astype(np.float64)})
                else:
                    self._writer.append_array(name, steps[start:end], times[start:end], stack)
            start = end

    def _report(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._writer.event("finding", finding.to_json(), step=finding.last or finding.first)


def _stacked(steps: np.ndarray, columns: dict[str, Any]) -> Iterable[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Columns as arrays, (n,) or (n, *shape), cut where a shape changes; text is not for detectors."""
    columns = {n: c for n, c in columns.items() if not isinstance(c[0], str)}
    if not columns:
        return
    lists = {n: [_numpy(v) if hasattr(v, "detach") else v for v in c] for n, c in columns.items() if type(c) is list}
    cuts = {i for c in lists.values() for i in range(1, len(c)) if not _alike(c[i - 1], c[i])}
    bounds = [0, *sorted(cuts), len(steps)]
    for start, end in itertools.pairwise(bounds):
        part = {n: np.stack(lists[n][start:end]) if n in lists else c[start:end] for n, c in columns.items()}
        yield steps[start:end], part


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str)
    a, b = np.asarray(a), np.asarray(b)
    return bool(a.shape == b.shape and a.dtype == b.dtype)


def _numpy(tensor: Any) -> np.ndarray:
    tensor = tensor.cpu()
    try:
        return np.asarray(tensor.numpy())
    except TypeError:  # bfloat16 has no NumPy twin
        return np.asarray(tensor.float().numpy())


def _blocks(rows: list[Row]) -> Iterable[Block]:
    """Runs of rows with the same names, as columns: scalars as float64 arrays, everything else as lists."""
    start = 0
    keys = tuple(rows[0][2])
    for end in range(1, len(rows) + 1):
        if end < len(rows) and tuple(rows[end][2]) == keys:
            continue
        part = rows[start:end]
        steps = np.array([r[0] for r in part], dtype=np.int64)
        times = np.array([r[1] for r in part], dtype=np.float64)
        columns: dict[str, Any] = {}
        for name in keys:
            values = [r[2][name] for r in part]
            scalar = all(type(v) is float or type(v) is int for v in values)
            columns[name] = np.array(values, dtype=np.float64) if scalar else values
        yield steps, times, columns
        start = end
        if end < len(rows):
            keys = tuple(rows[end][2])
