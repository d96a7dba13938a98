"""The contents of rows, fetched when they are needed: from the cache, else from the file, checked on the way."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from workbench.journal.chunks import ChunkRow, Columns, components
from workbench.journal.index import CACHE, Piece, SeriesIndex
from workbench.journal.source import Source
from workbench.journal.sqlite import FAULTS
from workbench.journal.summary import Summary, micro

_GROUP = 256  # rows asked for at once
_T = TypeVar("_T")


class Moved(Exception):
    """The writer rewrote rows since the last look."""


class Contents:
    """Values and micro-statistics of the rows of one journal, by row id."""

    def __init__(self, source: Source, series: Mapping[int, SeriesIndex]) -> None:
        self._source = source
        self._series = series
        self._lenient = False
        self._owner = id(self)
        weakref.finalize(self, CACHE.forget, self._owner)

    @contextmanager
    def as_far_as_it_goes(self) -> Iterator[None]:
        """Within it, rows that are gone from the file are named as damage instead of raising `Moved`."""
        self._lenient = True
        try:
            yield
        finally:
            self._lenient = False

    def forget(self) -> None:
        """Drop what is cached."""
        CACHE.forget(self._owner)

    def raw(self, pieces: Iterable[Piece]) -> dict[int, Columns]:
        """The values of the pieces' rows; damaged ones are absent and named. Raises `Moved`."""
        return self._fetched("data", pieces, lambda row, blob: row.columns(blob))

    def small(self, pieces: Iterable[Piece]) -> dict[int, Summary]:
        """Their micro-statistics, made anew from the values where only they are damaged. Raises `Moved`."""
        pieces = list(pieces)
        found = self._fetched("micro", pieces, lambda row, blob: row.micro(blob))
        for piece in pieces:
            if piece.row.id not in found:
                values = self.raw([piece]).get(piece.row.id)
                if values is not None:
                    found[piece.row.id] = micro(values.steps, components(values.values))
        return found

    def _fetched(
        self, what: str, pieces: Iterable[Piece], decode: Callable[[ChunkRow, Any], _T | None]
    ) -> dict[int, _T]:
        """The decoded contents of rows by their ids, from the cache or the file; damaged ones are absent and named."""
        found: dict[int, _T] = {}
        missing: dict[int, ChunkRow] = {}
        for piece in pieces:
            row = piece.row
            cached = CACHE.get((self._owner, what, row.id))
            if cached is not None and cached[0] == row.rev:
                found[row.id] = cached[1]
            else:
                missing[row.id] = row
        ids = list(missing)
        for at in range(0, len(ids), _GROUP):
            for number, rev, blob in self._blobs(what, ids[at : at + _GROUP]):
                row = missing[number]
                if rev != row.rev:
                    continue
                value = decode(row, blob)
                if value is not None:
                    found[number] = value
                    CACHE.put((self._owner, what, number), (rev, value), len(blob))
                elif blob is not None:
                    self._lose(row)
                del missing[number]
        if missing and not self._lenient:
            raise Moved
        for row in missing.values():
            self._lose(row)
        return found

    def _lose(self, row: ChunkRow) -> None:
        name = self._series[row.series].name
        self._source.note(f"Values of the signal '{name}' at steps {row.s0:,} to {row.s1:,} are damaged.")

    def _blobs(self, what: str, ids: list[int]) -> list[tuple[Any, ...]]:
        query = f"SELECT c.id, c.rev, d.{what} FROM chunk c JOIN chunk_data d ON d.id = c.id WHERE c.id IN "
        with self._source.reading() as connection:
            try:
                return connection.execute(f"{query}({','.join('?' * len(ids))})", ids).fetchall()
            except FAULTS:
                rows = []
                for number in ids:
                    try:
                        rows += connection.execute(f"{query}(?)", (number,)).fetchall()
                    except FAULTS:
                        continue
                return rows
