"""What people and the mirror keep beside a run: a name, a star, ids elsewhere, how far something was copied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from workbench.journal.layout import RunDir
from workbench.journal.records import to_json
from workbench.journal.sqlite import Connection, checksum, connect, immediate, in_words, use_wal

_TABLE = "CREATE TABLE IF NOT EXISTS note(key PRIMARY KEY, value NOT NULL, crc NOT NULL)"


class Notes:
    """Named plain values; any process may write, the last one wins. Nothing stays open between calls."""

    def __init__(self, rundir: RunDir) -> None:
        self.path = rundir.notes

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default` when there is none (or its row is damaged)."""
        return self.all().get(key, default)

    def all(self) -> dict[str, Any]:
        """Every note whose row is whole."""
        if not self.path.exists():
            return {}
        with in_words("Reading", self.path), closing(connect(self.path, mode="ro")) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'note'").fetchall()
            rows = connection.execute("SELECT key, value, crc FROM note").fetchall() if known else []
        return {key: json.loads(value) for key, value, crc in rows if checksum((key, value)) == crc}

    def set(self, key: str, value: Any) -> None:
        """Keep `value` (plain data) under `key`, durably; None removes it."""
        text = to_json(value, f"The note '{key}'")
        with self._writing() as connection:
            if value is None:
                connection.execute("DELETE FROM note WHERE key = ?", (key,))
            else:
                connection.execute("INSERT OR REPLACE INTO note VALUES (?,?,?)", (key, text, checksum((key, text))))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with in_words("Writing", self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(connect(self.path)) as connection:
                use_wal(connection, self.path)
                connection.execute(_TABLE)
                with immediate(connection):
                    yield connection
