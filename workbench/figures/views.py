"""One view of a feed: what it shows, how far it has heard, when it is due for a frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workbench.figures.chartdata import Encoded

Deliver = Callable[[dict[str, Any], list[bytes]], None]

HEARTBEAT = 0.9  # seconds; the panel greys out after 3 without a frame
UNACKNOWLEDGED, SLOW = 3, 0.5  # over three frames that nobody acknowledged, one each half second: never none
LEASE, REST = 60.0, 5.0  # a view that says nothing for a minute gets a full frame each 5 s …
SHARE, LONGEST = 5.0, 1.0  # a full frame waits five times what the last one cost, but no longer than a second
GONE = 900.0  # … and after a quarter of an hour none, until it speaks again


@dataclass(frozen=True)
class Wish:
    """How a view shows one chart."""

    width: int = 600
    range: tuple[float, float] | None = None
    component: int | None = None
    run: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Wish:
        """From a message; what is missing is as by default."""
        span = data.get("range")
        component = data.get("component")
        return cls(
            width=max(1, min(int(data.get("width") or 600), 8192)),
            range=(float(span[0]), float(span[1])) if span and span[1] > span[0] else None,
            component=None if component is None else int(component),
            run=data.get("run") or None,
        )


@dataclass
class Viewer:
    """A view's standing with the feed. Times are of the monotonic clock.

    Attributes:
        charts: what it shows, by chart id; others are not computed.
        at: the time slider's step; None: now.
        cost: seconds of computing that the last full frame took.
        n, acked, full_n: number of the last frame sent, acknowledged, sent in full.
        data, news: revisions of the runs in the last frame.
        kept: encoded charts with what they were made from, for frames in which nothing changed.
    """

    id: str
    deliver: Deliver
    seen: float
    active: bool = True
    charts: dict[str, Wish] = field(default_factory=dict)
    at: int | None = None
    n: int = 0
    acked: int = 0
    full_n: int = 0
    wants_full: bool = True
    sent: float = float("-inf")
    sent_full: float = float("-inf")
    cost: float = 0.0
    data: tuple[Any, ...] = ()
    news: tuple[Any, ...] = ()
    kept: dict[str, tuple[Any, Encoded]] = field(default_factory=dict)

    def show(self, message: Mapping[str, Any]) -> None:
        """Take over what a `view` message says."""
        self.active = bool(message.get("active", True))
        self.charts = {str(k): Wish.of(v) for k, v in (message.get("charts") or {}).items()}
        at = message.get("at")
        self.at = None if at is None else int(at)
        self.wants_full = True

    def alive(self, now: float) -> bool:
        """Whether anything is to be sent to it at all."""
        return self.active and now - self.seen < GONE

    def due(self, now: float, data: Sequence[Any], news: Sequence[Any], pace: float) -> str:
        """Which frame it should get now: ``full``, ``light`` (charts unchanged) or none (empty)."""
        if not self.alive(now):
            return ""
        rest = REST if now - self.seen > LEASE else SLOW if self.n - self.acked > UNACKNOWLEDGED else 0.0
        if self.wants_full and now - self.sent >= rest:
            return "full"
        if tuple(data) != self.data and now - self.sent_full >= max(rest, pace, min(SHARE * self.cost, LONGEST)):
            return "full"
        if tuple(news) != self.news and now - self.sent >= min(rest, SLOW):
            return "light"
        return "light" if now - self.sent >= HEARTBEAT else ""
