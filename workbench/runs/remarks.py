"""What people say of a run, while it trains and after: a name, a star, a note, and whether it is put away."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from workbench.cards import InvalidValue
from workbench.runs.run import Run

_LONGEST = {"name": 80, "note": 4_000}


def annotate(
    run: Run,
    *,
    name: str | None = None,
    star: bool | None = None,
    note: str | None = None,
    archived: bool | None = None,
) -> dict[str, Any]:
    """Write what a person says of a run; None leaves a thing as it is, an empty text takes it away.

    Returns `remarks` as they now are. Raises `InvalidValue` for a name of several lines or a text too long.
    """
    for key, text in (("name", name), ("note", note)):
        if text is not None and len(text.strip()) > _LONGEST[key]:
            raise InvalidValue(f"A {key} has at most {_LONGEST[key]:,} characters; this one has {len(text.strip()):,}.")
    if name is not None and len(name.strip().splitlines()) > 1:
        raise InvalidValue("A name is one line; write more in the run's note.")
    notes = run.notes
    for key, value in (("name", name), ("star", star), ("note", note), ("archived", archived)):
        if value is not None:
            notes.set(key, (value.strip() if isinstance(value, str) else bool(value)) or None)
    return remarks(run)


def remarks(run: Run) -> dict[str, Any]:
    """What people said of a run: `name`, `note` (text), `star`, `archived` (whether)."""
    said = run.notes.all()
    return {
        "name": str(said.get("name") or ""), "star": bool(said.get("star")), "note": str(said.get("note") or ""),
        "archived": bool(said.get("archived")),
    }  # fmt: skip


def stamp(folder: Path) -> str:
    """Changes whenever somebody writes a note about the run in that folder."""
    times = []
    for name in ("notes.db", "notes.db-wal"):
        try:
            times.append((folder / name).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return ".".join(map(str, times))


def all_remarks(store: Path, runs: Iterable[Run]) -> dict[str, dict[str, Any]]:
    """`remarks` of many runs by id, from the store's `index.db` where the notes were not touched since."""
    path = store / "index.db"
    known: dict[str, tuple[str, str]] = {}
    if path.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=2)) as db:
            known = {i: (at, text) for i, at, text in db.execute("SELECT id, stamp, said FROM remarks")}
    found: dict[str, dict[str, Any]] = {}
    fresh = []
    for run in runs:
        now = stamp(run.dir.path)
        at, text = known.get(run.id, ("", ""))
        if at == now:
            found[run.id] = json.loads(text)
        else:
            found[run.id] = remarks(run)
            fresh.append((run.id, now, json.dumps(found[run.id])))
    if fresh:  # only a cache: what cannot be kept is read again
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=2)) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS remarks(id TEXT PRIMARY KEY, stamp TEXT, said TEXT)")
            db.executemany("INSERT OR REPLACE INTO remarks VALUES (?,?,?)", fresh)
    return found
