"""A readable copy of a long series: at most about 2,000 points, appended to while it grows, no spike lost.

Steps are cut into buckets; of a bucket that has ended the lowest and the highest value are kept, at their own steps.
Borders depend on the planned length alone, so the same series always gives the same points, whenever they are sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POINTS = 2_000  # of a scalar series
COMPONENT_POINTS = 500  # of one component of a vector, of which there are many
_NAN_POINTS = 50


@dataclass(frozen=True)
class Grid:
    """Bucket borders for a series of `planned` steps (0: not known) and at most `points` points.

    While the plan lasts buckets are equally wide, or one step where all points fit. Past it, or without one, a bucket
    is as wide as a fixed share of the steps before it, so that the number of points grows with the logarithm.
    """

    planned: int
    points: int

    def ends(self, start: int, limit: int) -> np.ndarray:
        """Borders after the border `start`, up to `limit` at most: the ends (m,) of the buckets that have ended."""
        parts: list[np.ndarray] = []
        width = self.width
        if self.planned and start < self.planned:
            top = min(limit, self.planned)
            regular = np.arange(start + width, top + 1, width, dtype=np.int64)
            if limit >= self.planned and (not len(regular) or regular[-1] < self.planned):
                regular = np.append(regular, self.planned)
            parts.append(regular)
            start = int(regular[-1]) if len(regular) else start
            if start < self.planned:
                return regular
        share = self.points / (160 if self.planned else 40)
        rest = []
        while (end := start + max(self.width, int(start / share))) <= limit:
            rest.append(end)
            start = end
        return np.concatenate([*parts, np.array(rest, np.int64)])

    @property
    def width(self) -> int:
        """Steps of a bucket while the plan lasts."""
        room = self.points * 9 // 10
        if self.planned <= room:
            return 1
        return -(-self.planned // (room // 2))


def thin(steps: np.ndarray, values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Places (in order) of the values to keep of the series `steps` (n,), `values` (n,): the extremes of each bucket.

    A bucket ends before its entry in `ends`, where the next one begins; the first holds every step before ``ends[0]``.
    Values behind the last bucket and non-finite ones are left out.
    """
    places = np.flatnonzero((steps < ends[-1]) & np.isfinite(values)) if len(ends) else np.zeros(0, np.int64)
    if not len(places):
        return places
    bucket = np.searchsorted(ends, steps[places], side="right")
    order = np.lexsort((values[places], bucket))
    first = np.flatnonzero(np.diff(bucket, prepend=-1))
    last = np.append(first[1:], len(places)) - 1
    return np.unique(np.concatenate([places[order[first]], places[order[last]]]))


def onsets(values: np.ndarray, before: bool) -> np.ndarray:
    """Places where a series that was finite (`before`: was not) ceases to be: each is shown as NaN."""
    bad = ~np.isfinite(values)
    return np.flatnonzero(bad & ~np.concatenate([[before], bad[:-1]]))[:_NAN_POINTS]
