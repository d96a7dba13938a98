"""Results as a file, as a table in the terminal, and as the page in the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.benchmarks.figures import Row, Value

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_MARK = {True: "yes", False: "no", None: ""}


def read(path: Path = RESULTS) -> dict[str, Any]:
    """What was kept; empty without a file."""
    return json.loads(path.read_text()) if path.exists() else {}


def keep(results: dict[str, Any], order: list[str], path: Path = RESULTS) -> dict[str, Any]:
    """Write results, and return all that is kept: rows measured earlier stay if machine and versions are the same."""
    before = read(path)
    same = all(before.get(k) == results[k] for k in ("machine", "versions"))
    rows = {**(before["rows"] if same else {}), **results["rows"]}
    kept = {**results, "rows": {name: rows[name] for name in order if name in rows}}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return kept


def table(results: dict[str, Any]) -> Table:
    """For the terminal."""
    made = Table(title="Workbench: figures measured", caption=_where(results), show_lines=False, pad_edge=False)
    for name, justify in (("what", "left"), ("measured", "right"), ("bar", "right"), ("met", "left")):
        made.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for found in results["rows"].values():
        row = Row.from_json(found["row"])
        made.add_row(f"[bold]{row.what}[/]", f"[dim]load {found['load']:g}[/]")
        for value in row.values:
            colour = {True: "green", False: "red", None: "default"}[value.met]
            made.add_row(f"  {value.name}", f"[{colour}]{value.words}[/]", value.bar, value.miss or _MARK[value.met])
        for value in row.beside:
            made.add_row(f"  [dim]{value.name}[/]", f"[dim]{value.words}[/]")
        if row.note:
            made.add_row(f"  [italic]{row.note}[/]")
        made.add_section()
    return made


def page(results: dict[str, Any]) -> str:
    """docs/benchmarks.md: everything that `results` holds, and nothing else."""
    lines = [
        "# Figures measured", "",
        "Written by `make bench` from `tests/benchmarks/results.json`; do not edit. Each number is a median, with the",
        "quartiles over the blocks in brackets; ways that are compared ran in one process, in interleaved blocks.", "",
        f"Machine: {_where(results)}.", "",
        "Versions: " + ", ".join(f"{name} {v}" for name, v in results["versions"].items()) + ".", "",
        "| what | measured | bar | met |", "|---|---:|---:|---|",
    ]  # fmt: skip
    rows = [(found, Row.from_json(found["row"])) for found in results["rows"].values()]
    for _, row in rows:
        lines.append(f"| **{row.what}** | | | |")
        lines += [f"| {v.name} | {v.words} | {v.bar} | {v.miss or _MARK[v.met]} |" for v in row.values]
    for found, row in rows:
        lines += ["", f"## {row.what}", "", row.how, ""]
        if row.note:
            lines += [row.note, ""]
        lines += ["| beside it | measured |", "|---|---:|", *map(_beside, row.beside), ""] if row.beside else []
        lines.append(f"Measured {found['date']}; load average at the start: {found['load']:g}.")
    return "\n".join(lines) + "\n"


def _beside(value: Value) -> str:
    return f"| {value.name} | {value.words} |"


def _where(results: dict[str, Any]) -> str:
    found = results["machine"]
    return f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']:g} GiB, {found['system']}"
