"""How long it takes to say that two long runs are the same to the bit."""

from __future__ import annotations

import time

from tests.benchmarks.figures import Row, Value, of
from tests.benchmarks.machine import memory
from tests.benchmarks.rows.attach import SERIES, write
from workbench.runs import Store

NUMBER = 11


def measure(quick: bool) -> Row:
    """Two journals of the same values, so that every one must be read; beside it, both as DataFrames."""
    values, repeats = (200_000, 3) if quick else (10_000_000, 7)
    store = Store.find()
    names = [write(store, values) for _ in range(2)]
    before = memory()["peak"]
    took, tables = [], []
    for _ in range(repeats):
        a, b = (store.run(name) for name in names)
        began = time.perf_counter()
        found = a.identical_to(b)
        took.append(time.perf_counter() - began)
        assert found, str(found)
        assert found.compared == SERIES
    grown = memory()["peak"] - before
    for _ in range(max(2, repeats // 2)):
        a, b = (store.run(name) for name in names)
        began = time.perf_counter()
        same = a.frame().equals(b.frame())
        tables.append(time.perf_counter() - began)
        assert same
    return Row(
        f"a.identical_to(b) on two runs of {values:,} values",
        f"{SERIES} series of {values // SERIES:,} values in each journal, equal to the bit, so that all are read; "
        f"{repeats} times, with readers opened anew. Both files are in the page cache.",
        [of("a.identical_to(b)", took, "s")],
        [
            Value("memory that it takes at most", grown, "MB"),
            of("a.frame().equals(b.frame()), which takes NaN for missing values", tables, "s"),
        ],
    )
