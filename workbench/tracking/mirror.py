"""The mirror's process: ``python -m workbench.tracking.mirror STORE``, started by `ensure_mirror`.

It holds the store's lock, so that there is one a store, and leaves after a minute without work.
"""

from __future__ import annotations

import os
import signal
import sys

from workbench.cards.errors import NotAllowed
from workbench.journal import RunLock
from workbench.runs import Store
from workbench.tracking.service import Mirror, lock_path


def main(store: str) -> int:
    """The mirror's process. Leaves at once if the store has one already."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.nice(10)  # the training comes first
    found = Store(store)
    _name_process()
    while True:
        try:
            lock = RunLock.acquire(lock_path(found.path))
        except NotAllowed:
            return 0
        mirror = Mirror(found)
        try:
            mirror.serve()
        finally:
            lock.release()
        # Whoever started a run between the last look and the release found the lock held, and relies on this look.
        if not found.runs(active=True):
            return 0


def _name_process() -> None:
    try:
        from setproctitle import setproctitle
    except ImportError:
        return
    setproctitle("workbench mirror")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
