"""How values lie in rows: the columns of a chunk, its bytes, its checksums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.journal.records import Floats
from workbench.journal.sqlite import checksum, stamped, unstamped
from workbench.journal.summary import FIELDS, Summary, combine, micro

TAIL = 512  # values a row may hold while it is rewritten in place; bounds what each flush writes again
MERGE = 8  # so many sealed neighbours become one full row
COMPONENTS = 256  # arrays of more components have no statistics
_TAIL_BYTES = 1 << 16

COLUMNS = "id, series, rev, attempt, start, n, s0, s1, dtype, shape, stats, crc"


def capacity(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    """Values in a sealed row; big arrays have a row each."""
    return max(1, min(TAIL, _TAIL_BYTES // (16 + dtype.itemsize * math.prod(shape))))


@dataclass(frozen=True, slots=True)
class Columns:
    """Neighbouring values: steps (n,) float64, times (n,) float64, values (n, *shape)."""

    steps: Floats
    times: Floats
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, part: Any) -> Columns:
        return Columns(self.steps[part], self.times[part], self.values[part])

    def pack(self) -> bytes:
        """As bytes, for `unpack`."""
        return self.steps.tobytes() + self.times.tobytes() + np.ascontiguousarray(self.values).tobytes()

    @classmethod
    def unpack(cls, data: memoryview, n: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Columns:
        """The n values that `pack` wrote."""
        steps = np.frombuffer(data, "<f8", n)
        times = np.frombuffer(data, "<f8", n, offset=8 * n)
        values = np.frombuffer(data, dtype, n * math.prod(shape), offset=16 * n).reshape(n, *shape)
        return cls(steps, times, values)

    @classmethod
    def join(cls, parts: list[Columns]) -> Columns:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("steps", "times", "values")))


def components(values: NDArray[Any]) -> Floats:
    """Values (n, *shape) as (k, n) float64."""
    return np.ascontiguousarray(values.reshape(len(values), -1).T, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A row of the table `chunk`. A row without statistics (`stats` None) is short enough to be read whole."""

    id: int
    series: int
    rev: int
    attempt: int
    start: int
    n: int
    s0: int
    s1: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    stats: Floats | None  # (FIELDS, k)

    @classmethod
    def parse(cls, row: tuple[Any, ...]) -> ChunkRow | None:
        """The row as SQLite gave it (`COLUMNS`), or None if its checksum does not fit."""
        *values, crc = row
        if checksum(values) != crc:
            return None
        id_, series, rev, attempt, start, n, s0, s1, dtype, shape, packed = values
        sizes = tuple(int(s) for s in shape.split(",") if s)
        stats = None if packed is None else np.frombuffer(packed, "<f8").reshape(FIELDS, -1)
        return cls(id_, series, rev, attempt, start, n, s0, s1, np.dtype(dtype), sizes, stats)

    def columns(self, blob: Any) -> Columns | None:
        """The values in the row's `chunk_data.data`, or None if they are damaged."""
        data = unstamped(blob, self.id)
        if data is None or len(data) != self.n * (16 + self.dtype.itemsize * math.prod(self.shape)):
            return None
        return Columns.unpack(data, self.n, self.dtype, self.shape)

    def micro(self, blob: Any) -> Summary | None:
        """The micro-statistics in the row's `chunk_data.micro`, or None if they are damaged."""
        data = unstamped(blob, self.id)
        return None if data is None else Summary.unpack(data, math.prod(self.shape))


def encode(
    id_: int, series: int, rev: int, attempt: int, start: int, part: Columns, *, full: bool
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The rows of `chunk` and `chunk_data` for `part`; `full` rows get statistics."""
    shape = part.values.shape[1:]
    stats = small = None
    if full and math.prod(shape) <= COMPONENTS and len(part) > 1:
        blocks = micro(part.steps, components(part.values))
        stats = combine(blocks, np.zeros(1, dtype=np.intp)).fields[:, :, 0].tobytes()
        small = stamped(blocks.pack(), id_)
    row = (
        id_,
        series,
        rev,
        attempt,
        start,
        len(part),
        int(part.steps[0]),
        int(part.steps[-1]),
        part.values.dtype.str,
        ",".join(map(str, shape)),
        stats,
    )
    return (*row, checksum(row)), (id_, small, stamped(part.pack(), id_))
