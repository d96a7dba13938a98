"""The reader's side of a series: which rows hold which steps, and the cache of what was read of them."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from workbench.journal.chunks import ChunkRow

_first = attrgetter("s0")


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a row, from step `lo` to step `hi`, that no later attempt replaced."""

    row: ChunkRow
    lo: int
    hi: int

    @property
    def whole(self) -> bool:
        """Whether all of the row's values are meant."""
        return self.lo == self.row.s0 and self.hi == self.row.s1


@dataclass
class SeriesIndex:
    """Rows of one series, by attempt. A later attempt replaces the range of steps that it covers."""

    id: int
    name: str
    kind: str
    attempts: dict[int, list[ChunkRow]] = field(default_factory=dict)
    _pieces: list[Piece] | None = None

    def put(self, row: ChunkRow) -> None:
        """Take a row; earlier rows of its attempt that begin inside its range are replaced by it."""
        rows = self.attempts.setdefault(row.attempt, [])
        if not rows or rows[-1].s1 < row.s0:
            rows.append(row)
        else:
            rows[bisect_left(rows, row.s0, key=_first) : bisect_right(rows, row.s1, key=_first)] = [row]
        self._pieces = None

    def pieces(self, first: float | None = None, last: float | None = None) -> list[Piece]:
        """The visible pieces that touch the steps from `first` to `last`, in order."""
        if self._pieces is None:
            self._pieces = self._visible()
        found = self._pieces
        lo = 0 if first is None else bisect_left(found, first, key=attrgetter("hi"))
        hi = len(found) if last is None else bisect_right(found, last, key=attrgetter("lo"))
        return found[lo:hi]

    def _visible(self) -> list[Piece]:
        pieces: list[Piece] = []
        covered: list[tuple[int, int]] = []  # by later attempts; disjoint and in order
        for number in sorted(self.attempts, reverse=True):
            rows = self.attempts[number]
            pieces += (Piece(row, lo, hi) for row in rows for lo, hi in _without(row.s0, row.s1, covered))
            covered = _merged([*covered, (rows[0].s0, rows[-1].s1)])
        pieces.sort(key=attrgetter("lo"))
        return pieces

    def extent(self) -> tuple[int, int, int] | None:
        """First and last step and the number of recorded values (hidden ones included), or None without any."""
        every = list(self.attempts.values())
        if not every:
            return None
        count = sum(row.n for rows in every for row in rows)
        return min(rows[0].s0 for rows in every), max(rows[-1].s1 for rows in every), count

    def gaps(self) -> Iterator[str]:
        """Where rows are missing: their values were recorded and cannot be read."""
        for _, rows in sorted(self.attempts.items()):
            before = 0
            for row in rows:
                if (lost := row.start - before) > 0:
                    yield f"{lost:,} values of the signal '{self.name}' before step {row.s0:,} are missing."
                before = row.start + row.n


def _without(lo: int, hi: int, covered: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, last in covered:
        if last < lo:
            continue
        if first > hi:
            break
        if first > lo:
            yield lo, first - 1
        lo = last + 1
    if lo <= hi:
        yield lo, hi


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for lo, hi in sorted(ranges):
        if out and lo <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(hi, out[-1][1])
        else:
            out.append((lo, hi))
    return out


class Cache:
    """What was read lately, bounded in bytes. Keys begin with their owner's number."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._lock = threading.RLock()
        self._entries: OrderedDict[tuple[int, str, int], tuple[Any, int]] = OrderedDict()

    def get(self, key: tuple[int, str, int]) -> Any:
        """The entry, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: tuple[int, str, int], value: Any, size: int) -> None:
        """Keep an entry of `size` bytes; the ones not used for longest make room."""
        with self._lock:
            self._drop(key)
            self._entries[key] = value, size
            self.size += size
            while self.size > self.limit:
                self._drop(next(iter(self._entries)))

    def forget(self, owner: int) -> None:
        """Drop all entries of an owner."""
        with self._lock:
            for key in list(self._entries):
                if key[0] == owner:
                    self._drop(key)

    def _drop(self, key: tuple[int, str, int]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry[1]


CACHE = Cache(64 << 20)  # one for all readers of the process, so that many open runs cost no more than one
