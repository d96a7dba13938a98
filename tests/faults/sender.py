"""Sends set commands as fast as it can. ``python -m tests.faults.sender RUN_FOLDER HOW_MANY NUMBER``."""

from __future__ import annotations

import sys

from workbench.journal import Inbox, RunDir


def main(folder: str, count: int, number: int) -> None:
    """Wait for the word, then send."""
    inbox = Inbox(RunDir(folder))
    print("ready", flush=True)
    sys.stdin.readline()
    for k in range(count):
        values = {"values": {"strength": float(1000 * number + k % 1000)}}
        inbox.issue("set", values, source=f"sender {number}")
    print("sent", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
