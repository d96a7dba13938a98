"""What a view can ask a feed to do: start, set, pause … Every answer is plain data; mistakes are `WorkbenchError`s."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.cards import Card, InvalidValue, NotAllowed, UnknownName, View
from workbench.figures.shared import Watched
from workbench.runs import FINAL, Run

if TYPE_CHECKING:
    from workbench.figures.feed import Feed

Operation = Callable[["Feed", dict[str, Any]], dict[str, Any]]
_OPERATIONS: dict[str, Operation] = {}
_AHEAD_S = 1.0  # arms moved together move this far ahead of the furthest one …
_STALE_S = 0.5  # … and of what its journal, flushed each quarter of a second, last told
_EXPLORE_WIDTH = 2000


def operation(do: Operation) -> Operation:
    """Register a request under the function's name."""
    _OPERATIONS[do.__name__.rstrip("_")] = do
    return do


def perform(feed: Feed, name: str, args: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request; `UnknownName` if there is no such."""
    if name not in _OPERATIONS:
        raise UnknownName("request", name, _OPERATIONS)
    return _OPERATIONS[name](feed, args)


def view_of(card: Card, chart: str) -> View:
    """The card's view of that id; `UnknownName` suggests the nearest."""
    for view in card.views:
        if view.id == chart:
            return view
    raise UnknownName("chart", chart, (v.id for v in card.views), where=card.id)


@operation
def start(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """A new run for each arm, same seed and values; the feed shows them."""
    seed = args.get("seed", 0)
    folders = feed.source.start(args.get("arms") or [], args.get("preset") or "", seed, args.get("values") or {})
    feed.attach([f.id for f in folders])
    return {"runs": feed.run_ids}


@operation
def set_(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """Move controls of several runs: all at one step, a second of steps ahead of the furthest."""
    live, skipped = _live(feed, args)
    at_step = args.get("at_step")
    if at_step is None and len(live) > 1:
        at_step = meeting_step([_standing(w) for w in live])
    commands = {}
    for watched in live:
        with watched.use() as run:
            commands[run.id] = run.set(args.get("values") or {}, at_step=at_step, source="panel").seq
    return {"commands": commands, "at_step": at_step, "skipped": skipped}


def meeting_step(standings: Sequence[tuple[int, float, int | None]]) -> int:
    """The step at which runs that stand at (step, steps a second, planned steps) can all still take a command.

    The furthest run's step, as last flushed, and a second of its steps, but no later than the shortest run's last step.
    """
    step, rate, _ = max(standings)
    ahead = step + max(1, math.ceil(rate * (_AHEAD_S + _STALE_S))) + 1
    ends = [planned - 1 for _, _, planned in standings if planned]
    return max(step + 1, min([ahead, *ends]))


def _standing(watched: Watched) -> tuple[int, float, int | None]:
    """Its last recorded step, its steps a second and its planned length."""
    with watched.use() as run:
        return run.step, watched.rate, run.steps


def _plain(method: str) -> Operation:
    """A command without values, to each of the runs that has not ended."""

    def do(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
        extra: Mapping[str, Any] = {k: args[k] for k in ("name", "count") if k in args}
        live, skipped = _live(feed, args)
        commands = {}
        for watched in live:
            with watched.use() as run:
                commands[run.id] = getattr(run, method)(**extra, source="panel").seq
        return {"commands": commands, "skipped": skipped}

    return do


_OPERATIONS.update(
    {name: _plain(name) for name in ("pause", "resume", "stop", "checkpoint", "action", "probe")},
    step=_plain("do_steps"),
)


@operation
def attach(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """Show these runs; none named: the newest group."""
    wanted = args.get("runs") or [f.id for f in feed.source.newest() or feed.source.newest(ended=True)]
    return {"runs": feed.attach(wanted)}


@operation
def runs(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """The experiment's runs, newest first."""
    return {"runs": feed.source.listing()}


@operation
def figure(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:
    """A chart as a page that works alone: interactive, plotly inside."""
    from workbench.figures.plotly_ import html

    return {"html": html(plotly_figure(feed, str(args.get("chart", "")), args))}


def plotly_figure(feed: Feed, chart: str, args: Mapping[str, Any]) -> Any:
    """A chart of the feed's runs as a plotly figure, with its findings and interventions."""
    from workbench.figures.plotly_ import figure as draw
    from workbench.figures.views import Wish

    data = feed.chart(chart, Wish.of({**args, "width": args.get("width") or _EXPLORE_WIDTH}), args.get("at"))
    state = feed.state()
    shown = [r for r in state["runs"] if data.run in (None, r["id"])]
    ids = {r["id"] for r in shown}
    return draw(
        data,
        theme="dark" if args.get("theme") == "dark" else "light",
        runs={r["id"]: r["label"] for r in shown} if len(shown) > 1 else {},
        findings=[f for f in state["findings"] if chart in f["charts"] and f["run"] in ids],
        interventions=[i for i in state["interventions"] if i["run"] in ids],
    )


@operation
def mlflow(feed: Feed, args: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """How to see these runs in MLflow: the address of its UI where there is one, and the command that opens it."""
    uri = _tracking_uri(feed)
    url = os.environ.get("WORKBENCH_MLFLOW_URL") or (uri if uri.startswith(("http://", "https://")) else None)
    return {"url": url, "command": f"mlflow ui --backend-store-uri {uri}"}


def _tracking_uri(feed: Feed) -> str:
    """Where the runs are mirrored: as the newest of them recorded it, else as a run started now would be."""
    for watched in feed.watched():
        with watched.use() as run:
            if uri := run.reader.meta.get("tracking_uri"):
                return str(uri)
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{feed.source.store.path / 'mlflow.db'}"


def _live(feed: Feed, args: Mapping[str, Any]) -> tuple[list[Watched], dict[str, str]]:
    """The asked-for runs that take commands, and why the others do not; `NotAllowed` if none does."""
    shown = {w.id: w for w in feed.watched()}
    wanted = args.get("runs") or list(shown)
    if not wanted:
        raise NotAllowed("No run is shown; start one first.")
    live, skipped = [], {}
    for run_id in wanted:
        if run_id not in shown:
            raise InvalidValue(f"This panel does not show the run {run_id}; it shows {', '.join(shown) or 'none'}.")
        with shown[run_id].use() as run:
            if run.state in FINAL:
                skipped[run_id] = _ended(run)
            else:
                live.append(shown[run_id])
    if not live:
        raise NotAllowed(next(iter(skipped.values())))
    return live, skipped


def _ended(run: Run) -> str:
    return f"The run {run.id} is {run.state}, so it takes no commands; start a new run to go on."
