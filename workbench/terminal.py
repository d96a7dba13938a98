"""What the command line draws: tables, sparklines, and the live view of runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from workbench.cards import Finding
from workbench.runs import FINAL, Run
from workbench.runs.lineage import Node

console = Console(highlight=False)
_BARS = "▁▂▃▄▅▆▇█"
_STATE_STYLE = {
    "running": "green", "finished": "blue", "paused": "yellow", "queued": "dim", "starting": "cyan",
    "stopped": "yellow", "failed": "bold red", "lost": "bold red",
}  # fmt: skip
_SEVERITY_STYLE = {"info": "cyan", "warning": "yellow", "serious": "bold red"}


def sparkline(values: Sequence[float] | np.ndarray, width: int = 40) -> str:
    """A series as one line of blocks; a non-finite value shows as ``!``."""
    array = np.asarray(values, dtype=float)
    if not len(array):
        return ""
    parts = np.array_split(array, min(width, len(array)))
    means = np.array([p.mean() if np.isfinite(p).all() else np.nan for p in parts])
    finite = means[np.isfinite(means)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join("!" if not np.isfinite(m) else _BARS[int((m - low) * scale)] for m in means)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=_STATE_STYLE.get(state, ""))


def table(columns: Iterable[str], rows: Iterable[Sequence[Any]], title: str = "") -> Table:
    """A quiet table."""
    made = Table(box=None, header_style="bold", title=title or None, title_justify="left", padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        made.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        made.add_row(*(c if isinstance(c, Text) else str(c) for c in row))
    return made


def duration(seconds: float | None) -> str:
    """Seconds as ``47 s``, ``3 min 10 s`` or ``2 h 05 min``; empty if unknown."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Bytes as ``734 B``, ``12.3 kB`` or ``4.0 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def run_table(runs: Sequence[Run], said: Mapping[str, Mapping[str, Any]]) -> Table:
    """Runs, a row each; `said` is what people said of them."""
    rows = [(r.id, r.experiment, _called(r, said[r.id]), str(r.seed), state_text(r.state), _progress(r)) for r in runs]
    return table(("run", "experiment", "arm", "seed", "state", "step"), rows)


def lineage(nodes: Sequence[Node], said: Mapping[str, Mapping[str, Any]]) -> Group:
    """Runs with their forks and replays below them."""
    lines = []
    for root in nodes:
        open_: list[bool] = []  # for each level above, whether another branch follows there
        waiting = [(0, root, True)]
        while waiting:
            depth, node, last = waiting.pop()
            open_ = [*open_[: max(0, depth - 1)], *([not last] if depth else [])]
            stem = "".join("│  " if more else "   " for more in open_[:-1])
            stem += ("└─ " if last else "├─ ") if depth else ""
            run = node.run
            line = Text(stem, style="dim")
            line.append(run.id, style="bold" if not depth else "")
            origin = f"fork at step {run.fork_step:,}" if run.kind == "fork" and run.fork_step is not None else run.kind
            line.append(f"  {_called(run, said[run.id])}  ")
            line.append_text(state_text(run.state))
            line.append(f"  {_progress(run)}")
            line.append(f"  {origin}" if origin else "", style="cyan")
            lines.append(line)
            below = node.children
            waiting += [(depth + 1, child, child is below[-1]) for child in reversed(below)]
    return Group(*lines)


def _called(run: Run, said: Mapping[str, Any]) -> str:
    return f"{'★ ' if said['star'] else ''}{said['name'] or run.arm or '–'}{' (archived)' if said['archived'] else ''}"


def _progress(run: Run) -> str:
    return f"{max(run.step, 0):,} / {run.steps or '?'}"


def comparison(found: Mapping[str, Any], a: str, b: str) -> Group:
    """`runs.compare.report` for reading: verdict, settings that differ, interventions that only one has."""
    one, other = (a, b) if a != b else (found["a"], found["b"])
    parts: list[Any] = [Text(found["text"], style="green" if found["identical"] else "yellow")]
    settings = found["config"]
    same = len(settings["identical"])
    if settings["differing"]:
        parts += [Text(), table(("setting", one, other), settings["differing"])]
    count = f"{same:,} setting{'' if same == 1 else 's'}"
    parts.append(Text(f"{'The other ' if settings['differing'] else 'All '}{count} are the same.", style="dim"))
    deeds = found["interventions"]
    rows = [(f"{r['step']:,}", r["text"], r["source"], who) for who, side in ((one, "a_only"), (other, "b_only"))
            for r in deeds[side]]  # fmt: skip
    if rows:
        parts += [Text(), table(("step", "intervention", "by", "only in"), rows)]
    if deeds["both"]:
        parts.append(Text(f"{len(deeds['both']):,} more in both.", style="dim"))
    return Group(*parts)


def finding_line(run: Run, finding: Finding) -> Text:
    """A finding as one paragraph: where, what, what to try."""
    until = "now" if finding.last is None else f"{finding.last:,}"
    text = Text(f"{finding.first:,} – {until}  ", style="dim")
    text.append(finding.title, style=_SEVERITY_STYLE.get(finding.severity, ""))
    text.append(f"  {run.label}: {finding.sentence}")
    if finding.remedy:
        text.append(f" Try: {finding.remedy}", style="dim")
    return text


def picture(runs: Sequence[Run], width: int = 40) -> Group:
    """State, progress, the main signals as sparklines, findings and interventions of the runs."""
    parts: list[Any] = []
    for run in runs:
        state, steps = run.state, run.steps
        head = Text.assemble((run.label, "bold"), "  ", state_text(state), f"  step {max(run.step, 0):,}")
        head.append(f" of {steps:,}" if steps else "")
        if state == "running" and run.rate:
            head.append(f"  {run.rate:.0f} steps/s  {duration(run.eta_s)} left", style="dim")
        head.append(f"  {run.id}", style="dim")
        parts.append(head)
        if run.message:
            parts.append(Text(f"  {run.message}", style="red" if state in ("failed", "lost") else "yellow"))
        for name in _shown(run):
            points = run[name]
            if len(points.values):
                line = Text(f"  {name:<16}")
                line.append(sparkline(points.values[-4000:], width), style="blue")
                line.append(f"  {points.values[-1]:.4g}")
                parts.append(line)
        parts.extend(finding_line(run, f) for f in run.findings[-4:])
        for record in [r for r in run.interventions if r.kind in ("set", "action")][-3:]:
            change = ", ".join(f"{n} {record.old.get(n)} → {v}" for n, v in record.new.items()) or record.kind
            said = (
                f"applied at step {record.step:,}"
                if record.outcome == "applied"
                else f"{record.outcome}: {record.reason}"
            )
            parts.append(Text(f"  {change or record.payload}  {said}", style="magenta"))
    return Group(*parts)


def _shown(run: Run, count: int = 5) -> list[str]:
    scalars = [n for n, kind in run.reader.names().items() if kind == "scalar"]
    card = run.card
    declared = [s.name for s in card.signals if s.name in scalars] if card else []
    main = [card.main_signal] if card and card.main_signal in scalars else []
    return list(dict.fromkeys([*main, *declared, *scalars]))[:count]


def follow(
    runs: Sequence[Run], *, until: Callable[[], bool] | None = None, each: Callable[[], None] | None = None
) -> None:
    """Show the runs until all have ended (or `until()`); without a terminal, a line every ten seconds.

    Ctrl+C stops looking; the runs train on.
    """
    done = until or (lambda: all(r.state in FINAL for r in runs))
    if not sys.stdout.isatty():
        _follow_plainly(runs, done, each)
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            live.update(picture(runs))
            if each:
                each()
            if done():
                live.update(picture(runs))
                return
            time.sleep(0.25)


def _follow_plainly(runs: Sequence[Run], done: Callable[[], bool], each: Callable[[], None] | None) -> None:
    said = -10.0
    while True:
        over = done()
        if each:
            each()
        if over or time.monotonic() - said >= 10:
            said = time.monotonic()
            for run in runs:
                total = f" of {run.steps:,}" if run.steps else ""
                print(f"{run.label}: {run.state}, step {max(run.step, 0):,}{total}", flush=True)
        if over:
            return
        time.sleep(0.2)
