"""The lock that tells whether a run's worker is alive: an OS file lock, free the moment its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
import weakref
from pathlib import Path
from typing import Self

from workbench.cards.errors import NotAllowed, StoreError

_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


class RunLock:
    """An exclusive lock on a run, held until `release` or the end of the process, however it ends."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        _held.add(self)

    @classmethod
    def acquire(cls, path: str | os.PathLike[str]) -> RunLock:
        """Take the lock at once, or raise `NotAllowed` naming its holder (`StoreError`: the folder is not writable)."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(
                f"The lock {path} cannot be made: {error.strerror}. Choose a folder that you may write."
            ) from error
        # A reader's test holds the lock, shared, for microseconds: only a lock that stays is a worker.
        for pause in (0.0, 0.001, 0.005, 0.02, 0.05, 0.1):
            time.sleep(pause)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError as error:
                os.close(fd)
                raise StoreError(
                    f"The file system of {path.parent} gives no file locks ({error.strerror}). "
                    "Set WORKBENCH_HOME to a folder on a local disk."
                ) from error
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            return cls(path, fd)
        os.close(fd)
        pid = _written_pid(path)
        raise NotAllowed(
            f"Another worker{f' (process {pid})' if pid else ''} is training the run {path.parent.name}. "
            "Stop that one first, or start a new run."
        )

    def release(self) -> None:
        """Free the lock; harmless if it is free."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            _held.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def is_held(path: str | os.PathLike[str]) -> bool:
    """Whether a living process holds the lock: microseconds, creates nothing, keeps nothing."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def holder(path: str | os.PathLike[str]) -> int | None:
    """Process id of the lock's holder, or None when it is free."""
    return _written_pid(Path(path)) if is_held(path) else None


def _written_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _close_inherited() -> None:
    # A forked child (a loader worker) shares the lock: were it to keep the descriptor, the run would seem alive after
    # its worker was killed. Closing it here leaves the parent's lock alone.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_close_inherited)
