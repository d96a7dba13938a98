"""Watched runs: one reader a run in the whole process, shared by panels and views, gone with the last."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

from workbench.cards import StoreError
from workbench.figures.ancestry import forget
from workbench.journal import Event, RunDir
from workbench.runs.housekeeping import disk
from workbench.runs.remarks import remarks
from workbench.runs.run import Run

_LOG = {"state": "info", "note": "info", "stage": "info", "warning": "warning", "error": "error"}  # event kind → level
_MOST_LOG, _MOST_INTERVENTIONS = 200, 500
_RECENT = 200  # steps over which a rate is taken
_NOTES_S = 1.0
_WEIGH_OFTEN_S, _WEIGH_S = 5.0, 60.0  # seconds between looks at a folder's size: of a run that trains, that has ended
_PEEK = 0.02  # several feeds that show one run look at it once


class _Steady(Run):
    """A run that stands still between two looks, so that all of a frame is of one moment and asking it is cheap."""

    _last = -1
    noted: Mapping[str, Any] = MappingProxyType({})

    @property
    def label(self) -> str:
        """Its own name, else what became of which run at which step, else its arm."""
        if name := self.noted.get("name") or self.config.get("run", {}).get("name"):
            return str(name)
        if self.kind == "fork":
            return f"fork at {self.fork_step:,}"
        return f"replay of {super().label}" if self.kind == "replay" else super().label

    def look(self) -> bool:
        """See how it stands now; True if there was news."""
        news = super().refresh()
        if news or self._last < 0:
            self._last = super().step
        return news

    def refresh(self) -> bool:
        """No news between looks."""
        return False

    @property
    def step(self) -> int:
        """The last step recorded, as of the last look."""
        return self._last


class Watched:
    """A run under observation. Every use goes through `use` (its reader serves one thread at a time).

    Attributes:
        data: grows with anything new in the run's journal.
        news: grows with what a person wants to see at once: state, commands, findings.
        values: present value of every control.
        interventions, findings, log: as frames carry them, as of the last look.
        disk: bytes of the run's folder, as of a few seconds ago.
        started: seconds since 1970 of its first sign of life.
        rate: steps a second lately, by the journal's clock; 0 if not known.
    """

    def __init__(self, rundir: RunDir) -> None:
        self.run = _steady(rundir)
        self.id, self.holders, self.data, self.news = self.run.id, 0, 0, 0
        self._lock = threading.RLock()
        self._looked = 0.0
        self._print: tuple[object, ...] = ()
        self.interventions: list[dict[str, Any]] = []
        self.findings: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.values: dict[str, Any] = {}
        self.started: float | None = None
        self.rate = 0.0
        self.disk = 0
        self._events = 0
        self._weighed = self._noted = float("-inf")

    @contextmanager
    def use(self) -> Iterator[Run]:
        """The run, for this thread alone."""
        with self._lock:
            yield self.run

    def look(self, *, surely: bool = False) -> None:
        """See whether there is news; cheap if there is none. `surely`: even if somebody looked just now."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked < _PEEK and not surely:
                return
            self._looked = now
            if now - self._noted > _NOTES_S:
                self.look_at_notes()
            if now - self._weighed > (_WEIGH_S if self.run.ended else _WEIGH_OFTEN_S):
                self._weighed = now
                self.disk = sum(disk(self.run).values())
            if self.run.look() or not self.data:
                self.data += 1
                self._read()
            state, pending = self.run.state, tuple(c.seq for c in self.run.reader.pending())
            fingerprint: tuple[object, ...] = (
                state, self.run.reader.message, pending, len(self.interventions), tuple(self.run.noted.items()),
                tuple((f["key"], f["last"], f["sentence"]) for f in self.findings),
            )  # fmt: skip
            if fingerprint != self._print:
                self._print = fingerprint
                self.news += 1

    def look_at_notes(self) -> None:
        """Read what people wrote beside the run: its name, star, note."""
        with self._lock:
            self._noted = time.monotonic()
            with suppress(StoreError):  # somebody is just creating the file; the next look will do
                self.run.noted = remarks(self.run)

    def _read(self) -> None:
        reader = self.run.reader
        self.interventions = [
            {
                "run": self.id, "seq": c.seq, "kind": c.kind, "old": c.old, "new": c.new or c.payload.get("values", {}),
                "step": c.step, "at_step": c.at_step, "outcome": c.outcome, "reason": c.reason, "source": c.source,
                "time": c.time, **({"name": c.payload["name"]} if "name" in c.payload else {}),
            }
            for c in reader.commands()[-_MOST_INTERVENTIONS:]
        ]  # fmt: skip
        self.values = self.run.values()
        self.rate = recorded_rate(self.run)
        self.findings = [{"run": self.id, **f.to_json()} for f in reader.findings()]
        for event in reader.events(kinds=list(_LOG), after=self._events):
            self._events = event.id
            if event.kind == "state" and self.started is None:
                self.started = event.time
            line = {"run": self.id, "time": event.time, "step": event.step}
            self.log.append({**line, "level": _level(event), "text": _words(event)})
        del self.log[:-_MOST_LOG]


def recorded_rate(run: Run) -> float:
    """Steps a second over the newest recorded steps, by the journal's own clock; 0 if there are too few."""
    extents = {n: run.reader.extent(n) for n, kind in run.reader.names().items() if kind == "scalar"}
    name = max(extents, key=lambda n: (extents[n] or (0, -1, 0))[1:], default=None)
    extent = extents.get(name or "")
    if name is None or extent is None or extent[2] < 2:
        return 0.0
    points = run.reader.scalars(name, max(extent[0], extent[1] - _RECENT), extent[1])
    span = float(points.times[-1] - points.times[0])
    return float(points.steps[-1] - points.steps[0]) / span if span > 0 else 0.0


def _level(event: Event) -> str:
    return "error" if event.payload.get("state") == "failed" else _LOG[event.kind]


def _words(event: Event) -> str:
    """An event as a line of the log."""
    payload = event.payload
    if event.kind == "stage":
        return f"{payload.get('name', 'stage')} {payload.get('index', '')}".strip()
    parts = (payload.get("state"), payload.get("message") or payload.get("text"))
    return ": ".join(str(p) for p in parts if p)


def _steady(rundir: RunDir) -> _Steady:
    run = _Steady.open(rundir)
    assert isinstance(run, _Steady)
    return run


class Pool:
    """The process's watched runs, by folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[str, Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def hold(self, folders: Iterable[RunDir]) -> list[Watched]:
        """The watched runs of these folders, opened if nobody watched them; each must be released once."""
        held = []
        with self._lock:
            for folder in folders:
                key = str(folder.path)
                if key not in self._watched:
                    self._watched[key] = Watched(folder)
                self._watched[key].holders += 1
                held.append(self._watched[key])
        return held

    def release(self, held: Iterable[Watched]) -> None:
        """Give them back; a run that nobody holds is no longer read."""
        with self._lock:
            for watched in held:
                watched.holders -= 1
                if not watched.holders:
                    self._watched.pop(str(watched.run.dir.path), None)
                    with watched.use() as run:
                        forget(run)
                        run.reader.close()


POOL = Pool()
