"""Where two recorded series part: block by block, to the bit, whatever they hold and however long they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.journal import ArrayPoints


@dataclass(frozen=True)
class Difference:
    """The first value of a signal in which two runs differ.

    `a` and `b` are the values there (of an array: of the element at `index`), None where a run has none.
    """

    signal: str
    step: int
    a: Any
    b: Any
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        one, other = _told_apart(self.a, self.b)
        return f"at step {self.step:,} in {self.signal}{place}: {one} against {other}"


def first_difference(
    name: str, ours: Iterator[ArrayPoints], theirs: Iterator[ArrayPoints]
) -> tuple[Difference | None, tuple[bool, bool]]:
    """Where two streams of blocks differ first, and which of the two had a value at all."""
    mine, other = next(ours, None), next(theirs, None)
    seen = mine is not None, other is not None
    while mine is not None or other is not None:
        # What both blocks reach is compared; the rest of the longer one waits for the next block.
        top = min(int(part.steps[-1]) for part in (mine, other) if part is not None)
        left, mine = _split(mine, top)
        right, other = _split(other, top)
        found = _within(name, left, right)
        if found is not None:
            return found, seen
        mine = next(ours, None) if mine is None else mine
        other = next(theirs, None) if other is None else other
    return None, seen


def _split(part: ArrayPoints | None, top: int) -> tuple[ArrayPoints | None, ArrayPoints | None]:
    """A block up to the step `top`, and what is left of it; None for nothing."""
    if part is None or part.steps[-1] <= top:
        return part, None
    at = int(np.searchsorted(part.steps, top, side="right"))
    cut = [ArrayPoints(part.steps[s], part.values[s], part.times[s]) for s in (slice(at), slice(at, None))]
    return cut[0] if at else None, cut[1]


def _within(name: str, x: ArrayPoints | None, y: ArrayPoints | None) -> Difference | None:
    """The first difference between two blocks that reach equally far."""
    if x is None or y is None:
        lone = x if x is not None else y
        if lone is None:
            return None
        value, at = _shown(lone.values[0]), int(lone.steps[0])
        return Difference(name, at, value, None) if y is None else Difference(name, at, None, value)
    n = min(len(x), len(y))
    uneven = np.flatnonzero(x.steps[:n] != y.steps[:n])
    n = int(uneven[0]) if len(uneven) else n
    if n and (found := _unequal(x.values[:n], y.values[:n])) is not None:
        row, *index = found
        if (x.values.dtype, x.values.shape[1:]) != (y.values.dtype, y.values.shape[1:]):
            return Difference(name, int(x.steps[0]), _kind(x.values), _kind(y.values))
        place = (row, *index)
        return Difference(name, int(x.steps[row]), _shown(x.values[place]), _shown(y.values[place]), tuple(index))
    if n == len(x) == len(y):
        return None
    at = min(int(part.steps[n]) for part in (x, y) if n < len(part))
    one, other = (_shown(p.values[n]) if n < len(p) and p.steps[n] == at else None for p in (x, y))
    return Difference(name, at, one, other)


def _unequal(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    """Index of the first element (n, *shape) whose bits differ; (0,) for another dtype or shape; None if all agree."""
    if (x.dtype, x.shape) != (y.dtype, y.shape):
        return (0,)
    if not x.size:
        return None
    if x.dtype.hasobject:
        odd = np.flatnonzero(x != y)
        return (int(odd[0]),) if len(odd) else None
    word = np.dtype(f"u{x.dtype.itemsize}")
    odd = np.flatnonzero(
        np.ascontiguousarray(x).view(word).reshape(-1) != np.ascontiguousarray(y).view(word).reshape(-1)
    )
    return tuple(int(i) for i in np.unravel_index(odd[0], x.shape)) if len(odd) else None


def _kind(values: np.ndarray[Any, Any]) -> str:
    """What a block holds: ``text``, ``float32 of shape (3, 4)``."""
    if values.dtype.hasobject:
        return "text"
    return f"{values.dtype.name} of shape {values.shape[1:]}" if values.shape[1:] else f"{values.dtype.name} numbers"


def _shown(value: Any) -> Any:
    """A recorded value as plain data; of a whole array its kind."""
    if isinstance(value, np.ndarray):
        return _kind(value[None])
    return value.item() if isinstance(value, np.generic) else value


def _told_apart(a: Any, b: Any) -> tuple[str, str]:
    """Two values with as many digits as it takes to see that they differ; of NaNs their bits."""
    words = [_word(v) for v in (a, b)]
    if isinstance(a, float) and isinstance(b, float):
        for spelling in (*(f".{digits}g" for digits in range(4, 17)), "r"):
            words = [repr(v) if spelling == "r" else format(v, spelling) for v in (a, b)]
            if words[0] != words[1]:
                break
        else:
            words = [f"{v} ({np.float64(v).view(np.uint64):#x})" for v in (a, b)]
    return words[0], words[1]


def _word(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:59] + "…") if " of shape " not in value else value
    return f"{value:.4g}" if isinstance(value, float) else str(value)
