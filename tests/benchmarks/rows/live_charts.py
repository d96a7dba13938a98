"""Ten live charts in a notebook, and ten plotly figures beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.browser import PANEL, Lab, Notebook, lab, until
from tests.benchmarks.figures import Row, Value
from workbench.runs import Run, Store

NUMBER = 5
EXPERIMENT = "bench/charts"
VECTORS, PARTS, SCALARS = 8, 6, ("train", "val", "probe", "mean", "best")  # 8 × 6 + 2 × 5 = 58 series in ten charts
POINTS = 360  # a series of a plotly figure: what a chart 180 pixels wide gets
AHEAD = 5_000  # steps before anything is shown

_OPEN = "import workbench\npanel = workbench.open('bench/charts')\npanel._force({force})\npanel"
_PLOTLY = """
import threading, time
import ipywidgets, numpy as np, plotly.graph_objects as go
x = np.arange({points}, dtype=np.float32)
figures = [go.FigureWidget(
    [go.Scatter(x=x, y=np.sin(x / 30 + k), mode="lines", line=dict(width=1)) for k in range(n)],
    layout=dict(width=236, height=165, margin=dict(l=28, r=6, t=8, b=20), showlegend=False)) for n in {series}]
ipywidgets.VBox([ipywidgets.HBox(figures[:5]), ipywidgets.HBox(figures[5:])])
"""
_UPDATE = """
def update():
    began, n = time.monotonic(), 0
    while time.monotonic() - began < {seconds}:
        n += 1
        for figure in figures:
            with figure.batch_update():
                for k, trace in enumerate(figure.data):
                    trace.y = np.sin(x / 30 + k + n / 10).astype(np.float32)
        time.sleep(max(0.0, began + n / {hz} - time.monotonic()))
threading.Thread(target=update, daemon=True).start()
"""
_COUNT_PLOTS = """() => {
  window.__plots = 0;
  for (const plot of document.querySelectorAll('.js-plotly-plot'))
    plot.on('plotly_afterplot', () => { window.__plots += 1; });
}"""
_IN_VIEW = f"""() => {{
  const root = document.querySelector('{PANEL}').shadowRoot;
  const cells = [...root.querySelectorAll('.cell')].map(c => c.getBoundingClientRect());
  return {{ all: cells.length, seen: cells.filter(r => r.top >= 0 && r.bottom <= innerHeight).length,
            width: cells.at(-1)?.width, height: cells.at(-1)?.height }};
}}"""


def train() -> None:
    """In another process: record 58 series at each of 200 steps a second until stopped, 20,000 at most."""
    from workbench.journal import RunDir
    from workbench.signals import emit
    from workbench.steering import Session
    from workbench.steering.user import Empty

    folder, chance = RunDir(sys.argv[1]), np.random.default_rng(0)
    tree = Run.open(folder).config
    with Session(folder, Empty(), tree=tree, meta={"experiment": EXPERIMENT, "seed": 0}) as session:
        for step in session.steps(20_000):
            fall, noise = np.exp(-step / 3_000), chance.standard_normal((VECTORS, PARTS))
            for i in range(VECTORS):
                emit(f"layer_{i}", (1 + np.arange(PARTS)) * fall + 0.05 * noise[i])
            for k, name in enumerate(SCALARS):
                emit(f"{name}/loss", float(fall * (1 + k) + 0.05 * noise[0, 0]))
                emit(f"{name}/err", float(1 - fall / (1 + k) + 0.05 * noise[1, 0]))
            if step > AHEAD:
                time.sleep(0.005)


@contextmanager
def trainer(flush_ms: int) -> Iterator[Run]:
    """A run that trains, its journal flushed at this interval, its first steps done."""
    run = Store.find().create({"experiment": EXPERIMENT, "seed": 0, "run": {"flush_ms": flush_ms}})
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.benchmarks.rows.live_charts import train; train()", str(run.dir.path)]
    )
    try:
        until(lambda: run.step > AHEAD or process.poll() is not None, 120, "the trainer's first steps")
        if process.poll() is not None:
            raise RuntimeError(f"the trainer ended with status {process.returncode}")
        yield run
        run.stop()
        process.wait(60)
    finally:
        process.kill()


def measure(quick: bool) -> Row:
    """The panel at the journal's own rate and forced to 30 Hz; plotly figures asked for as much."""
    seconds = 3.0 if quick else 20.0
    shots = os.environ.get("BENCH_SHOTS")
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as opened:
        natural, seen = _panel(opened, "natural", 250, 0, seconds, shots)
        forced, _ = _panel(opened, "forced", 33, 30, seconds, shots)
        beside = {hz: _plotly(opened, hz, seconds, shots) for hz in ((30,) if quick else (2, 30))}
    plotly = [
        value
        for hz, found in beside.items()
        for value in (
            Value(f"ten plotly FigureWidgets asked for {hz} rounds/s: rounds of all ten", found["rounds"], "/s"),
            Value(f"ten plotly FigureWidgets asked for {hz} rounds/s: page", found["fps"], "fps"),
        )
    ]
    return Row(
        "Ten live charts with 58 series in view at 1280 × 800, JupyterLab in Chromium",
        f"A run records 58 series 200 times a second; its panel is opened in a notebook as a user does; {seconds:g} s "
        "of animation frames and finished rounds of drawing. Forced: the run flushes each 33 ms and the feed sends "
        "full frames at 30 Hz. Headless Chromium draws in software. The figures beside it hold as many series, "
        f"{POINTS} points each, updated in one message a figure.",
        [
            Value("forced to 30 Hz: rounds of all ten", forced["rounds"], "/s", least=10),
            Value("forced to 30 Hz: page", forced["fps"], "fps", least=30),
            Value("at the journal's rate (4 Hz): page", natural["fps"], "fps", least=50),
        ],
        [
            Value("charts wholly in view", float(seen["seen"]), f"of {seen['all']}"),
            Value("forced: frames that arrive from the kernel", forced["frames"], "/s"),
            Value("forced: longest gap between two frames", forced["longest"], "ms"),
            Value("at the journal's rate: rounds of all ten", natural["rounds"], "/s"),
            Value("at the journal's rate: longest gap between two frames", natural["longest"], "ms"),
            *plotly,
        ],
        f"A chart is {seen['width']:.0f} × {seen['height']:.0f} pixels.",
    )


def _panel(
    opened: Lab, name: str, flush_ms: int, force: int, seconds: float, shots: str | None
) -> tuple[dict[str, float], dict[str, Any]]:
    with trainer(flush_ms), opened.notebook(name, [_OPEN.format(force=force)]) as notebook:
        notebook.run(0)
        notebook.panel("running")
        _settle(notebook, f"document.querySelector('{PANEL}').__workbench.rounds > 5")
        panel = f"document.querySelector('{PANEL}').__workbench"
        found = notebook.watch(seconds, rounds=f"{panel}.rounds", frames=f"{panel}.frames")
        seen = notebook.page.evaluate(_IN_VIEW)
        if shots:
            notebook.page.screenshot(path=Path(shots) / f"{name}.png")
        return found, seen


def _plotly(opened: Lab, hz: int, seconds: float, shots: str | None) -> dict[str, float]:
    series = [PARTS] * VECTORS + [len(SCALARS)] * 2
    cells = [_PLOTLY.format(points=POINTS, series=series), _UPDATE.format(seconds=seconds + 8, hz=hz)]
    with opened.notebook(f"plotly{hz}", cells) as notebook:
        notebook.run(0)
        _settle(notebook, "document.querySelectorAll('.js-plotly-plot .main-svg').length >= 20")
        notebook.page.evaluate(_COUNT_PLOTS)
        notebook.run(1)
        _settle(notebook, "window.__plots > 20")
        found = notebook.watch(seconds, rounds="window.__plots / 10")
        if shots:
            notebook.page.screenshot(path=Path(shots) / f"plotly{hz}.png")
        return found


def _settle(notebook: Notebook, condition: str) -> None:
    notebook.page.wait_for_function(condition)
    notebook.page.wait_for_timeout(1_500)
