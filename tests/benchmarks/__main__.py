"""``python -m tests.benchmarks [NAME…] [--quick]``: measure, print one table, keep the results. Never asserts.

Each benchmark is a module in `rows/` with a `measure(quick) -> Row`; it runs in a process and a store of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.benchmarks import machine, report

ROOT = Path(__file__).parents[2]


def names() -> list[str]:
    """The benchmarks, in the order of their numbers."""
    found = [p.stem for p in (Path(__file__).parent / "rows").glob("*.py")]
    return sorted(found, key=lambda n: importlib.import_module(f"tests.benchmarks.rows.{n}").NUMBER)


def measure(name: str, *, quick: bool) -> dict[str, object] | None:
    """Run one benchmark in a process of its own; None if it failed (its traceback is on the terminal)."""
    began = {"date": time.strftime("%Y-%m-%d %H:%M"), "load": machine.load()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        answer = Path(folder) / "row.json"
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "WORKBENCH_HOME": f"{folder}/store",
            "XDG_RUNTIME_DIR": folder, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
        }  # fmt: skip
        environment.pop("MLFLOW_TRACKING_URI", None)
        code = f"from tests.benchmarks.__main__ import one; one({name!r}, {quick!r}, {str(answer)!r})"
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environment)
        if done.returncode:
            return None
        return {**began, "row": json.loads(answer.read_text())}


def one(name: str, quick: bool, answer: str) -> None:
    """In the benchmark's own process."""
    row = importlib.import_module(f"tests.benchmarks.rows.{name}").measure(quick)
    Path(answer).write_text(json.dumps(row.to_json()))


def main() -> None:
    """Parse, measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names())}; default: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything works; not kept")
    parser.add_argument("--page", action="store_true", help="only write docs/benchmarks.md anew from the kept results")
    asked = parser.parse_args()
    if asked.page:
        report.PAGE.write_text(report.page(report.read()))
        return
    if unknown := [n for n in asked.names if n not in names()]:
        parser.error(f"there is no benchmark {unknown[0]}; there are: {', '.join(names())}")
    results = {"machine": machine.machine(), "versions": machine.versions(), "rows": {}}
    console = Console(width=None if sys.stdout.isatty() else 120)
    failed = []
    for name in asked.names or names():
        console.print(f"[dim]{name} …[/]")
        if (found := measure(name, quick=asked.quick)) is None:
            failed.append(name)
            continue
        results["rows"][name] = found
        if not asked.quick:
            report.keep(results, names())
    console.print(report.table(results))
    if not asked.quick and results["rows"]:
        report.PAGE.parent.mkdir(exist_ok=True)
        report.PAGE.write_text(report.page(report.read()))
    if failed:
        sys.exit(f"Not measured, for the reasons above: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
