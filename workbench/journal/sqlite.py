"""How the workbench uses SQLite: connections, transactions, checksums, errors in words."""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
import weakref
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.cards.errors import StoreError

NETWORK_FILE_SYSTEMS = frozenset(
    (
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "afs", "ceph", "glusterfs", "orangefs",
        "pvfs2", "9p", "fuse.sshfs",
    )
)  # fmt: skip
_REASONS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space; what is not written yet is kept and tried again"),
    sqlite3.SQLITE_READONLY: ("the file or folder is read-only", "Give yourself the right to write it"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "Check that the folder exists and that you may use it"),
    sqlite3.SQLITE_PERM: ("access is denied", "Give yourself the right to use the folder"),
    sqlite3.SQLITE_BUSY: ("another process keeps it locked", "Close what else uses this run and try again"),
    sqlite3.SQLITE_LOCKED: ("another process keeps it locked", "Close what else uses this run and try again"),
    sqlite3.SQLITE_NOTADB: ("the file is damaged or no journal", "Restore it from a copy"),
    sqlite3.SQLITE_CORRUPT: ("the file is damaged", "Restore it from a copy"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "Check the disk (full, removed, or failing?)"),
}

# What a damaged file can make SQLite raise; text that is no text comes as Python's own error.
FAULTS = (sqlite3.Error, UnicodeDecodeError)

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class Connection(sqlite3.Connection):
    """A connection that a forked child never touches, and that closes when it is forgotten."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _connections.add(self)

    def __del__(self) -> None:
        with suppress(sqlite3.Error):
            self.close()


def _keep_inherited() -> None:
    # SQLite forbids even closing a connection in a forked child, so each gets a reference that nobody gives back.
    for connection in list(_connections):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


os.register_at_fork(after_in_child=_keep_inherited)


def connect(path: Path, *, mode: str = "rwc", timeout: float = 10.0, full: bool = True) -> Connection:
    """Open `path` in autocommit; `mode`: SQLite's ro, rw, rwc, or ``immutable``; `full`: commits outlive power loss."""
    query = "immutable=1" if mode == "immutable" else f"mode={mode}"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{query}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
    return connection


def use_wal(connection: sqlite3.Connection, path: Path) -> bool:
    """Switch to write-ahead logging where the file system can carry it; False: rollback journal instead."""
    wanted = "delete" if file_system(path) in NETWORK_FILE_SYSTEMS else "wal"
    (mode,) = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()
    return bool(mode == "wal")


def file_system(path: Path) -> str:
    """Kind of the file system that holds `path` (``ext4``, ``nfs4`` …); empty where the system does not tell."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    place = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts:
        _, where, what, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if (place == where or place.startswith(where.rstrip("/") + "/")) and len(where) >= len(best):
            best, kind = where, what
    return kind


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction that waits its turn at its start; all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


@contextmanager
def in_words(doing: str, path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into a `StoreError` that names folder, reason and what to do."""
    try:
        yield
    except FAULTS as error:
        raise StoreError(explain(error, doing, path)) from error
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"{doing} {path} failed: {reason}. Check that you may use the folder.") from error


def explain(error: Exception, doing: str, path: Path) -> str:
    """One sentence or two about an error of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    reason, advice = _REASONS.get(code & 0xFF, (str(error), "Try again; if it stays, restore the folder from a copy"))
    return f"{doing} {path} failed: {reason}. {advice}."


def checksum(values: Iterable[Any]) -> int:
    """CRC-32 over a row's values, types included."""
    return zlib.crc32(b"|".join([v if type(v) is bytes else ascii(v).encode() for v in values]))


def stamped(blob: bytes, key: int) -> bytes:
    """`blob` followed by its checksum, which also covers the row's id `key`."""
    return blob + zlib.crc32(blob, key & 0xFFFFFFFF).to_bytes(4, "little")


def unstamped(blob: Any, key: int) -> memoryview | None:
    """What `stamped` was given, or None if a bit differs."""
    if type(blob) is not bytes or len(blob) < 4:
        return None
    view = memoryview(blob)
    if zlib.crc32(view[:-4], key & 0xFFFFFFFF) != int.from_bytes(view[-4:], "little"):
        return None
    return view[:-4]


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("The workbench needs a POSIX system: Linux, macOS, or WSL on Windows.")
