"""Writes down what a reader sees of a run, as it sees it: an account that does not depend on the run's own files.

``python -m tests.faults.witness RUN_FOLDER ACCOUNT``; one JSON line a sight; ends when its standard input does.
"""

from __future__ import annotations

import json
import select
import sys
import time
from pathlib import Path

from workbench.cards.errors import StoreError
from workbench.journal import RunDir
from workbench.runs import Run

PAUSE = 0.002


class Sight:
    """What was seen last, so that each line holds the news only."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seen: dict[str, tuple[int, int]] = {}
        self.counts = dict.fromkeys(("commands", "events", "checkpoints"), 0)
        self.state = ""

    def look(self) -> dict:
        """The news; empty without any."""
        news: dict = {}
        state = self.run.state
        if state != self.state:
            news["state"] = self.state = state
        reader = self.run.reader
        for name, kind in reader.names().items():
            first = self.seen.get(name, (-1, 0))[0] + 1
            extent = reader.extent(name)
            if extent is None or extent[1] < first:
                continue
            points = reader.scalars(name, first) if kind == "scalar" else reader.arrays(name, first)
            if len(points):
                self.seen[name] = int(points.steps[-1]), 0
                news.setdefault("values", {})[name] = [points.steps.tolist(), points.values.tolist()]
        for what in self.counts:
            rows = getattr(reader, what)()
            if fresh := rows[self.counts[what] :]:
                self.counts[what] = len(rows)
                news[what] = [vars(row) for row in fresh]
        return news


def main(folder: str, account: str) -> None:
    """Look and write until the input ends."""
    with Path(account).open("w") as file:
        run = None
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            try:
                if run is None:
                    run = Run.open(RunDir(folder))
                    sight = Sight(run)
                news = sight.look()
            except StoreError as error:  # also written down: a reader must not stumble
                news = {"error": str(error)}
            if news:
                file.write(json.dumps({"at": time.monotonic(), **news}) + "\n")
                file.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
