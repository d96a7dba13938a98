"""Opening a long run and drawing one of its series, as a panel does."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np

from tests.benchmarks.figures import Row, Value, number, of
from workbench.journal import RunLock, Writer
from workbench.runs import Store

NUMBER = 4
EXPERIMENT = "bench/long"
SERIES = 20
FLUSH = 250  # steps: a flush each 250 ms of a loop of 1 ms steps

_CHILD = """
import json, sys, time
from tests.benchmarks.machine import memory
began = time.perf_counter()
from workbench.figures.feed import Feed
from workbench.figures.own import card_for
from workbench.figures.source import StoreRuns
from workbench.figures.views import Wish
from workbench.runs import Store
imported, before = time.perf_counter(), memory()
store = Store(sys.argv[1])
card = card_for(sys.argv[2], store)
feed = Feed(StoreRuns(card, store), card)
feed.attach([store.run("latest").id])
with feed.borrowed():
    feed.chart("s07", Wish(width=600)).encode()
attached, after = time.perf_counter(), memory()
points = store.run("latest")["s07"]
loaded, raw = time.perf_counter(), memory()
print(json.dumps({
    "import": imported - began, "attach": attached - imported, "load": loaded - attached, "bare": before["now"],
    "now": after["now"], "peak": after["peak"], "raw": raw["now"], "points": len(points.steps),
}))
"""


def measure(quick: bool) -> Row:
    """A journal of 10 M values, written as a loop of 1 ms steps writes it; then fresh processes that draw a chart."""
    values, repeats = (200_000, 3) if quick else (10_000_000, 9)
    store = Store.find()
    began = time.perf_counter()
    run = store.run(write(store, values))
    took, size = time.perf_counter() - began, run.dir.journal.stat().st_size
    found = []
    for _ in range(repeats):
        told = subprocess.run(
            [sys.executable, "-c", _CHILD, str(store.path), EXPERIMENT], capture_output=True, text=True, check=True
        )
        found.append(json.loads(told.stdout))
    assert {f["points"] for f in found} == {values // SERIES}
    return Row(
        f"Attach to a journal of {values:,} values and draw one series",
        f"{SERIES} series of {values // SERIES:,} values, written in flushes of {FLUSH} steps by the journal's writer; "
        f"{repeats} fresh processes open the experiment as a panel does and compute the frame of one chart 600 pixels "
        "wide. Memory is the resident set of the whole process (MB = 10⁶ bytes). The file is in the page cache.",
        [
            of("attach and draw", [f["attach"] for f in found], "s", most=1.0),
            of("resident memory of the process", [f["now"] for f in found], "MB", most=200),
        ],
        [
            of("highest resident memory until then", [f["peak"] for f in found], "MB"),
            of("of this, the process before it attaches, imports done", [f["bare"] for f in found], "MB"),
            of("imports before that", [f["import"] for f in found], "s"),
            of("run['s07'] with every point, afterwards", [f["load"] for f in found], "s"),
            Value("size of the journal", size / values, "bytes a value"),
            Value("writing it", 1e6 * took / values, "µs a value"),
        ],
        f"The journal is {number(size / 1e6)} MB.",
    )


def write(store: Store, values: int) -> str:
    """A finished run of so many values, the same at each call; its id."""
    run = store.create({"experiment": EXPERIMENT, "seed": 0, "run": {"flush_ms": 250}})
    lock = RunLock.acquire(run.dir.lock)
    writer = Writer(run.dir, {"experiment": EXPERIMENT, "seed": 0, "steps": values // SERIES})
    writer.set_state("running")
    chance, began = np.random.default_rng(0), time.time()
    for first in range(0, values // SERIES, FLUSH):
        steps = np.arange(first, min(first + FLUSH, values // SERIES))
        fall = np.exp(-steps / 50_000)
        columns = {f"s{i:02d}": fall + 0.1 * chance.standard_normal(len(steps)) for i in range(SERIES)}
        writer.append(steps, began + steps * 1e-3, columns)
        writer.flush()
    writer.close("finished")
    lock.release()
    return run.id
