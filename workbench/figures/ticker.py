"""The one thread that looks at journals and sends frames, for all feeds of the process; gone with the last view."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

logger = logging.getLogger("workbench")


class Ticking(Protocol):
    """What the thread calls."""

    @property
    def interval(self) -> float:
        """Seconds until the next call is wanted; infinite: nobody watches."""

    def tick(self) -> None:
        """Look and send."""


class Ticker:
    """Calls each feed as often as it wants; its thread lives while some feed has a living view."""

    def __init__(self) -> None:
        self._feeds: list[Ticking] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None

    def wake(self, feed: Ticking) -> None:
        """Make sure that `feed` is called, and soon."""
        with self._lock:
            if feed not in self._feeds:
                self._feeds.append(feed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="workbench-feed", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            started = time.monotonic()
            self._wake.clear()
            for feed in list(self._feeds):
                try:
                    feed.tick()
                except Exception:  # one panel's trouble must not freeze the others
                    logger.exception("A panel could not be brought up to date.")
            with self._lock:
                self._feeds = [f for f in self._feeds if f.interval != float("inf")]
                if not self._feeds:
                    self._thread = None
                    return
                interval = min(f.interval for f in self._feeds)
            self._wake.wait(max(0.001, started + interval - time.monotonic()))


TICKER = Ticker()
