"""What a store knows of its runs that have ended: a cache, so that ten thousand of them are listed in a moment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.journal import RunDir

_TABLE = "CREATE TABLE IF NOT EXISTS ended(id TEXT PRIMARY KEY, stamp TEXT, config TEXT, facts TEXT)"


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its configuration, and its state, step, steps and message."""

    id: str
    stamp: str
    config: dict[str, Any]
    facts: dict[str, Any]


class Index:
    """`index.db` of a store. It may be deleted at any time: what is not in it is read from the runs themselves."""

    def __init__(self, store: Path) -> None:
        self.path = store / "index.db"

    def load(self) -> dict[str, Ended]:
        """Every run known to have ended, by id; nothing if the cache is missing or damaged."""
        if not self.path.exists():
            return {}
        try:
            with closing(sqlite3.connect(self.path, timeout=2)) as db:
                rows = db.execute("SELECT id, stamp, config, facts FROM ended").fetchall()
            return {i: Ended(i, stamp, json.loads(config), json.loads(facts)) for i, stamp, config, facts in rows}
        except sqlite3.OperationalError:  # somebody writes it
            return {}
        except (sqlite3.Error, ValueError):  # damaged: the next listing makes it anew
            self.path.unlink(missing_ok=True)
            return {}

    def keep(self, found: Iterable[Ended]) -> None:
        """Remember these; what cannot be written is read again the next time."""
        rows = [(e.id, e.stamp, json.dumps(e.config), json.dumps(e.facts)) for e in found]
        with suppress(sqlite3.Error, OSError), closing(sqlite3.connect(self.path, timeout=2)) as db, db:
            db.execute(_TABLE)
            db.executemany("INSERT OR REPLACE INTO ended VALUES (?,?,?,?)", rows)


def stamp(rundir: RunDir) -> str:
    """Changes whenever the run's journal is written; empty while there is none."""
    parts = []
    for path in (rundir.journal, rundir.journal.with_name(rundir.journal.name + "-wal")):
        try:
            stat = path.stat()
        except OSError:
            continue
        if path == rundir.journal or stat.st_size:
            parts.append(f"{stat.st_mtime_ns}.{stat.st_size}")
    return "|".join(parts)
