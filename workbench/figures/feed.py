"""The feed: journals become frames for any number of views, whatever carries them (a widget, a websocket)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from workbench.cards import Card, WorkbenchError
from workbench.cards.controls import flat
from workbench.figures import requests, travel  # noqa: F401 (travel registers its requests)
from workbench.figures.chartdata import ChartData, Encoded, TextData, join
from workbench.figures.charts import chart_data
from workbench.figures.grid import reached
from workbench.figures.palette import run_colors
from workbench.figures.shared import POOL, Watched
from workbench.figures.source import StoreRuns
from workbench.figures.spec import spec
from workbench.figures.ticker import TICKER, logger
from workbench.figures.views import Deliver, Viewer, Wish
from workbench.journal import RunDir
from workbench.runs import FINAL, Run
from workbench.runs.launch import capacity

_TICK, _HURRIED, _IDLE = 0.05, 0.01, 0.5  # seconds between looks: usually, just after a command, without active runs
_HURRY = 1.0
_PACE = 0.8  # of the shortest flush interval: at most one full frame a flush, though arms flush out of step


class Feed:
    """Frames of one panel subject: some runs of one experiment.

    Messages come in by `receive` (any thread), frames and replies go out by the `deliver` each view came with, frames
    always from the one ticker thread.

    Args:
        source: which runs there are, and how new ones start.
        card: the experiment's card.
        force_hz: for measuring: full, freshly computed frames at this rate even if nothing changed.
    """

    def __init__(self, source: StoreRuns, card: Card, *, force_hz: float = 0.0) -> None:
        self.source, self.card, self.force_hz = source, card, force_hz
        self._lock = threading.RLock()
        self._views: dict[str, Viewer] = {}
        self._folders: list[RunDir] = []
        self._held: list[Watched] = []
        self._colors: dict[str, int] = {}
        self._notice: dict[str, str] | None = None
        self._hurry, self._searched = 0.0, float("-inf")
        self.attach([])

    # -- which runs ---------------------------------------------------------------------------------------------------

    @property
    def run_ids(self) -> list[str]:
        """Ids of the runs shown."""
        return [f.id for f in self._folders]

    def attach(self, run_ids: Sequence[str]) -> list[str]:
        """Show these runs; none named: the newest that are active (nothing, if there are none)."""
        folders = [self.source.folder(i) for i in run_ids] if run_ids else self.source.newest()
        self._show(folders)
        return self.run_ids

    def show(self, run_ids: Sequence[str]) -> None:
        """Show exactly these runs, be it none."""
        self._show([self.source.folder(i) for i in run_ids])

    def refresh(self) -> None:
        """Send every view a full frame: something was renamed, say."""
        with self._lock:
            for view in self._views.values():
                view.wants_full = True
                view.kept.clear()
        self.wake()

    def _show(self, folders: Sequence[RunDir]) -> None:
        """Hold other runs."""
        with self._lock:
            old, self._held = self._held, []
            self._folders = list(folders)
            if old:  # held anew before it is let go: what stays is not read again from the start
                self.watched()
                POOL.release(old)
        self.refresh()

    def watched(self) -> list[Watched]:
        """The runs shown, held open until no view lives any more."""
        with self._lock:
            if not self._held and self._folders:
                self._held = POOL.hold(self._folders)
                runs = [w.run for w in self._held]
                self._colors = run_colors(self.card, runs)
            return self._held

    @contextmanager
    def borrowed(self) -> Iterator[list[Watched]]:
        """The runs shown, freshly looked at, for use outside a frame; let go afterwards if no view lives."""
        held = self.watched()
        for watched in held:
            watched.look(surely=True)
        try:
            yield held
        finally:
            with self._lock:
                if self.interval == float("inf"):
                    self._let_go()

    def close(self) -> None:
        """Forget all views and let go of the runs."""
        with self._lock:
            self._views.clear()
            self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, []
        if held:
            POOL.release(held)

    # -- messages in --------------------------------------------------------------------------------------------------

    def receive(self, message: Mapping[str, Any], deliver: Deliver) -> None:
        """Take a message of a view. Short and thread-safe; what it answers goes out through `deliver`."""
        view, kind = str(message.get("view", "")), message.get("type")
        if kind == "request":
            deliver({**self.handle(message), "view": view}, [])
        elif kind == "bye":
            with self._lock:
                self._views.pop(view, None)
        elif kind in ("hello", "view", "ack", "refresh"):
            if kind == "hello":
                deliver({**self.snapshot(), "view": view}, [])
            with self._lock:
                viewer = self._views.get(view) or self._views.setdefault(view, Viewer(view, deliver, time.monotonic()))
                viewer.seen = time.monotonic()
                if kind == "ack":
                    viewer.acked = max(viewer.acked, int(message.get("n", 0)))
                elif kind == "view":
                    viewer.show(message)
                else:
                    viewer.deliver, viewer.wants_full = deliver, True
        if kind != "ack":
            self.wake()

    def subscribe(self, view: str, request: Mapping[str, Any], deliver: Deliver) -> None:
        """Make `view` show what `request` (a ``view`` message) says."""
        self.receive({"type": "view", "view": view, **request}, deliver)

    def snapshot(self) -> dict[str, Any]:
        """The `spec` message: what a panel needs to know before its first frame."""
        return spec(self.card, str(self.source.store.path))

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a request asks; the user's mistakes come back as a sentence."""
        reply = {"type": "reply", "id": request.get("id")}
        try:
            result = self.perform(str(request.get("op", "")), dict(request.get("args") or {}))
        except WorkbenchError as error:
            return {**reply, "ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 (the panel must say something; the traceback is in the log)
            logger.exception("A request of a panel failed: %s", request.get("op"))
            return {**reply, "ok": False, "error": f"That failed unexpectedly ({type(error).__name__}: {error})."}
        return {**reply, "ok": True, "result": result}

    def perform(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """The same from Python: raises the `WorkbenchError` of what is wrong."""
        with self.borrowed():
            result = requests.perform(self, op, args)
        self._hurry = time.monotonic() + _HURRY
        self.wake()
        return result

    # -- frames out ---------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Have the ticker look at this feed, if anybody watches."""
        if self._views:
            TICKER.wake(self)

    @property
    def interval(self) -> float:
        """Seconds between two looks; infinite while no view lives."""
        now = time.monotonic()
        if not any(v.alive(now) for v in list(self._views.values())):
            return float("inf")
        if self.force_hz:
            return 1 / self.force_hz
        if now < self._hurry:
            return _HURRIED
        return _TICK if self._folders else _IDLE

    def tick(self) -> None:
        """Look at the runs and send each view the frame it is due. Called by the ticker alone."""
        now = time.monotonic()
        with self._lock:
            views = [v for v in self._views.values() if v.alive(now)]
            if not views:
                self._let_go()
                return
            if not self._folders and now - self._searched > 1.0:
                self._searched = now
                if found := self.source.newest():  # started elsewhere: from the command line, another panel
                    self._show(found)
            for watched in self.watched():
                watched.look()
        for view in views:
            if frame := self.frame(view.id):
                try:
                    view.deliver(*frame)
                except Exception as error:  # noqa: BLE001 (what carried it is gone; it says hello if it comes back)
                    logger.debug("A view is gone: %s", error)
                    with self._lock:
                        self._views.pop(view.id, None)
        if self.interval == float("inf"):
            self._let_go()

    def frame(self, view: str, *, force: bool = False) -> tuple[dict[str, Any], list[bytes]] | None:
        """The frame that a view is due, head and buffers; None: nothing to send. `force`: a full one in any case."""
        with self._lock:
            viewer, held = self._views.get(view), self.watched()
            if viewer is None:
                return None
            now = time.monotonic()
            data, news = tuple(w.data for w in held), (self._notice, *((w.id, w.news) for w in held))
            forced = force or (self.force_hz > 0 and viewer.alive(now))
            kind = "full" if forced else viewer.due(now, data, news, self._pace())
            if not kind:
                return None
            started = time.thread_time()
            charts = self._charts(viewer, held, data, forced) if kind == "full" else None
            viewer.n += 1
            viewer.sent, viewer.news = now, news
            if charts is not None:
                viewer.cost = time.thread_time() - started
                viewer.full_n, viewer.sent_full, viewer.data, viewer.wants_full = viewer.n, now, data, False
            heads, buffer = join(charts) if charts is not None else (None, b"")
            head = {
                "type": "frame", "view": view, "n": viewer.n, "full": charts is not None, "full_n": viewer.full_n,
                "at": viewer.at, "time": time.time(), "charts": heads, "notice": self._notice, **self.state(),
            }  # fmt: skip
            return head, [buffer]

    def state(self) -> dict[str, Any]:
        """The part of a frame that all views share: runs, findings, interventions, log."""
        with self._lock:
            held = self.watched()
            interventions = sorted((i for w in held for i in w.interventions), key=lambda i: i["time"])
            log = sorted((line for w in held for line in w.log), key=lambda line: line["time"])
            return {
                "runs": [self._run(w) for w in held],
                "findings": [{**f, "charts": self._on(f["signals"])} for w in held for f in w.findings],
                "interventions": interventions[-500:],
                "log": log[-200:],
            }

    def _pace(self) -> float:
        flushes: list[float] = [w.run.config.get("run", {}).get("flush_ms", 250) for w in self._held] or [250]
        return _PACE * min(flushes) / 1000

    def _charts(self, viewer: Viewer, held: Sequence[Watched], data: Any, fresh: bool) -> list[Encoded]:
        charts = []
        for view in self.card.views:
            if (wish := viewer.charts.get(view.id)) is None:
                continue
            made_from = (wish, viewer.at, data)
            kept = viewer.kept.get(view.id)
            if fresh or kept is None or kept[0] != made_from:
                viewer.kept[view.id] = kept = (made_from, self._encoded(view.id, wish, viewer.at))
            charts.append(kept[1])
        return charts

    def _encoded(self, chart: str, wish: Wish, at: int | None) -> Encoded:
        try:
            return self.chart(chart, wish, at).encode()
        except Exception as error:  # noqa: BLE001 (a chart that cannot be drawn says so; the others go on)
            if not isinstance(error, WorkbenchError):
                logger.exception("The chart %s could not be drawn.", chart)
            view = next(v for v in self.card.views if v.id == chart)
            why = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            return TextData(id=chart, kind="text", title=view.title, empty=f"Cannot be drawn: {why}").encode()

    def chart(self, chart: str, wish: Wish, at: int | None = None) -> ChartData:
        """One chart of the runs shown, as `ChartData`; `UnknownName` if the card has no such view."""
        view = requests.view_of(self.card, chart)
        with self._lock:
            runs: list[Any] = [w.run for w in self.watched()]
            return chart_data(
                self.card, runs, view, width=wish.width, range=wish.range, component=wish.component, run=wish.run,
                at=at, colors=self._colors,
            )  # fmt: skip

    def _on(self, signals: Sequence[str]) -> list[str]:
        """Ids of the charts that draw one of these signals."""
        wanted = set(signals)
        return [
            v.id
            for v in self.card.views
            if wanted & ({s.signal for s in v.lines()} | {name for pair in v.bands for name in pair})
        ]

    def _run(self, watched: Watched) -> dict[str, Any]:
        with watched.use() as run:
            leaves = flat(run.config)
            live = run.state not in FINAL
            rate = watched.rate if run.state == "running" and watched.rate else None
            left = run.steps - 1 - run.step if run.steps else None
            now = time.time()
            return {
                "id": run.id, "arm": run.arm, "label": run.label, "color": self._colors[run.id], "state": run.state,
                "message": _waiting(run) or run.message, "step": reached(run), "steps": run.steps, "rate": rate,
                "eta_s": left / rate if rate and left is not None else None, "seed": run.seed, "preset": run.preset,
                "started": watched.started, "exact": run.reader.meta.get("exact"), "values": watched.values,
                "pending": [_pending(c, now) for c in run.reader.pending()] if live else [],
                "launch": {n: leaves[n] for n, c in run.controls.items() if c.when == "launch" and n in leaves},
                "kind": run.kind, "parent": run.replay_of or run.parent, "fork_step": run.fork_step,
                "disk": watched.disk, **watched.run.noted,
            }  # fmt: skip


def _waiting(run: Run) -> str:
    """Why a run that nobody trains yet has not begun; empty for the others."""
    return f"waits for one of the {capacity()} runs that train at once here to end" if run.state == "queued" else ""


def _pending(command: Any, now: float) -> dict[str, Any]:
    return {
        "seq": command.seq, "kind": command.kind, "values": command.payload.get("values", {}),
        "at_step": command.at_step, "age_s": round(now - command.time, 3),
    }  # fmt: skip
