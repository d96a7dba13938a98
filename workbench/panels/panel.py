"""The panel widget: the TypeScript app over anywidget's messages, fed by `workbench.figures.feed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anywidget
import traitlets

from workbench.cards import MissingData, WorkbenchError
from workbench.figures.feed import Feed
from workbench.figures.own import card_for
from workbench.figures.requests import plotly_figure, view_of
from workbench.figures.source import StoreRuns
from workbench.panels.controls import Controls
from workbench.runs import Run, Store, spare

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SCRIPT = Path(__file__).parent / "static" / "panel.js"


def script() -> str:
    """The panel app's JavaScript; `MissingData` says how to build it."""
    try:
        return SCRIPT.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingData(
            f"The panel's JavaScript is not built ({SCRIPT} is missing); build it with "
            "`python scripts/build_panel.py`, which `make lab` does by itself."
        ) from None


class _View(anywidget.AnyWidget):
    """What panel and single chart share: traits without path or token, and messages to and from the feed."""

    experiment = traitlets.Unicode().tag(sync=True)
    run_ids = traitlets.List(traitlets.Unicode()).tag(sync=True)
    mode = traitlets.Unicode("panel").tag(sync=True)
    chart_id = traitlets.Unicode("").tag(sync=True)

    def __new__(cls, *args: Any, **traits: Any) -> Self:
        source = script()  # before there is a widget: half a widget complains when it is forgotten
        made: Self = super().__new__(cls, *args, **traits)
        made.add_traits(_esm=traitlets.Unicode(source).tag(sync=True))
        return made

    def __init__(self, feed: Feed, **traits: Any) -> None:
        self._feed = feed
        super().__init__(experiment=feed.card.id, run_ids=feed.run_ids, **traits)
        self.on_msg(self._receive)

    def _receive(self, _: Any, message: Any, buffers: Any) -> None:
        """Any thread: JupyterLab delivers messages on a sub-shell of the kernel while a cell runs."""
        if isinstance(message, Mapping):
            self._feed.receive(message, self._deliver)

    def _send(self, msg: dict[str, Any], buffers: Any = None) -> None:
        """Send, and let what the page answers go where it says itself.

        ipykernel 7.4 hands a widget's messages to the sub-shell for which the widget spoke last. That may be the one of
        a page that was closed or reloaded (frames go on for a while), and then nothing of the new page would arrive.
        """
        super()._send(msg, buffers=buffers)
        if hasattr(self.comm, "_reply_subshell_id"):
            del self.comm._reply_subshell_id

    def _deliver(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        if message["type"] == "frame" and self.run_ids != (ids := [r["id"] for r in message["runs"]]):
            self.run_ids = ids
        self.send(message, buffers)


class Chart(_View):
    """One live chart of a panel, an ordinary widget to put where you like."""

    def __init__(self, feed: Feed, chart: str) -> None:
        super().__init__(feed, mode="chart", chart_id=chart)

    def __repr__(self) -> str:
        return f"<Chart {self.chart_id} of {self.experiment}>"


class Panel(_View):
    """An experiment's panel: controls, live charts, findings, interventions.

    ``panel.controls["epsilon"]`` and ``panel.chart("error")`` are ordinary widgets for layouts of your own;
    ``panel.set(epsilon=0.2)`` steers every run shown; `panel.run`, `panel.runs` are the runs themselves.
    """

    _closed = False

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._charts: list[Chart] = []
        self.controls = Controls(feed)

    def __repr__(self) -> str:
        return f"<Panel {self.experiment}: {', '.join(self._feed.run_ids) or 'no run yet'}>"

    # -- runs ---------------------------------------------------------------------------------------------------------

    @property
    def runs(self) -> list[Run]:
        """The runs shown."""
        return [self._feed.source.store.run(i) for i in self._feed.run_ids]

    @property
    def run(self) -> Run | None:
        """The first run shown; None before one is started."""
        return next(iter(self.runs), None)

    def attach(self, *runs: Run | str) -> Panel:
        """Show these runs; none named: the newest group."""
        self._ask("attach", runs=[r.id if isinstance(r, Run) else r for r in runs])
        return self

    def start(
        self, *arms: str, preset: str | None = None, seed: int = 0, values: Mapping[str, Any] | None = None, **more: Any
    ) -> Panel:
        """Start one run an arm (none named: the preset's, or phenomenon beside remedy), side by side, and show them.

        ``panel.start("fast", seed=1, epsilon=0.2)``. Raises the `WorkbenchError` of what is wrong; nothing is started.
        """
        usual = self._feed.snapshot()["defaults"]
        named = self._feed.card.preset(preset or usual["preset"])
        chosen = {**self.controls.launch_values(), **(values or {}), **more}
        self._ask("start", arms=list(arms or named.arms or usual["arms"]), preset=named.name, seed=seed, values=chosen)
        return self

    def set(self, values: Mapping[str, Any] | None = None, **more: Any) -> dict[str, int]:
        """Move controls of every run shown, all at the same step; run id → number of the command."""
        commands: dict[str, int] = self._ask("set", values={**(values or {}), **more})["commands"]
        return commands

    def pause(self) -> None:
        """Hold every run shown before its next step."""
        self._ask("pause")

    def resume(self) -> None:
        """Let every run shown go on."""
        self._ask("resume")

    def fork(
        self,
        step: int,
        values: Mapping[str, Any] | None = None,
        *,
        run: Run | str | None = None,
        paused: bool = False,
        name: str = "",
        **more: Any,
    ) -> Run:
        """A child of a run (by default the first one shown) that goes its own way from `step` on, shown beside it.

        ``panel.fork(4200, epsilon=0.2)``; see `Run.fork`. Raises the `WorkbenchError` of what is wrong.
        """
        parent = run.id if isinstance(run, Run) else run or next(iter(self._feed.run_ids), None)
        changes = {**(values or {}), **more}
        made = self._ask("fork", run=parent, step=step, values=changes, paused=paused, name=name)
        return self._feed.source.store.run(made["run"])

    def back(self, count: int = 1) -> None:
        """Show every run, all of them paused, `count` steps earlier: paused forks take their places."""
        self._ask("back", count=count)

    def stop(self) -> None:
        """End every run shown before its next step; what was recorded stays."""
        self._ask("stop")

    def action(self, name: str) -> None:
        """Press one of the experiment's buttons in every run shown."""
        self._ask("action", name=name)

    def probe(self, name: str) -> None:
        """Ask every run shown for an expensive look."""
        self._ask("probe", name=name)

    # -- charts -------------------------------------------------------------------------------------------------------

    def chart(self, chart: str) -> Chart:
        """One live chart as a widget of its own; `UnknownName` suggests the nearest."""
        view_of(self._feed.card, chart)
        made = Chart(self._feed, chart)
        self._charts.append(made)
        return made

    def figure(self, chart: str, *, theme: str = "light", **wish: Any) -> Figure:
        """A chart as a plotly figure, with its findings and interventions: to explore and to keep.

        Args:
            chart: id of one of the card's views.
            theme: ``light`` or ``dark``.
            wish: ``range=(first, last)``, ``component=``, ``run=`` (an id), ``at=`` (a step), ``width=``.
        """
        with self._feed.borrowed():
            return plotly_figure(self._feed, chart, {"theme": theme, **wish})

    # -- life ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the runs, which go on training, and take the panel and its charts off the page."""
        if self._closed:  # ipywidgets closes again when the object is collected: on any thread, inside any lock
            return
        self._closed = True
        for chart in self._charts:
            chart.close()
        self.controls.close()
        self._feed.close()
        super().close()

    def _force(self, hz: float) -> None:
        """For measuring: full, freshly computed frames at this rate even if nothing changed; 0: as usual."""
        self._feed.force_hz = hz
        self._feed.wake()

    def _ask(self, op: str, **args: Any) -> dict[str, Any]:
        result = self._feed.perform(op, args)
        if self.run_ids != self._feed.run_ids:
            self.run_ids = self._feed.run_ids
        return result


def open(experiment: str, *, runs: Sequence[Run | str] = (), store: Store | Path | str | None = None) -> Panel:
    """The panel of an experiment: `runs`, else its newest group that is active, else the form to start one.

    `experiment` is the id of a card, or the one your own session was given.

    Running its cell again, after a kernel restart say, attaches to the same runs: they train in their own processes.

    Raises:
        UnknownName: no such experiment (the nearest is suggested) or run.
        MissingData: the panel's JavaScript is not built.
    """
    spare.warm()
    home = store if isinstance(store, Store) else Store(store) if store is not None else Store.find()
    found = card_for(experiment, home)
    feed = Feed(StoreRuns(found, home), found)
    try:
        if runs:
            feed.attach([r.id if isinstance(r, Run) else r for r in runs])
        return Panel(feed)
    except WorkbenchError:
        feed.close()
        raise
