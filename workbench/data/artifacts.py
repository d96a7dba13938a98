"""A small store of parts that are costly to make (a pretrained backbone), keyed by the config that made them.

Two processes that ask for the same part at once make it once; one killed half-way leaves nothing that looks finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.cards.errors import InvalidValue, StoreError

# The file lock below excludes other processes only. Reentrant: making one part may ask for another.
_in_this_process = threading.RLock()


def cache_home() -> Path:
    """`workbench` in the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"


def artifacts_home() -> Path:
    """Where the parts lie: `$WORKBENCH_ARTIFACTS`, else `artifacts` in the workbench's cache folder."""
    return Path(os.environ.get("WORKBENCH_ARTIFACTS") or cache_home() / "artifacts").expanduser()


def artifact(key: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """The folder of the part that `key` describes; `make(empty folder)` fills it the first time only.

    `key` holds everything the part depends on, as JSON values: the same key is the same folder, in any order of its
    entries. If `make` raises, its error passes through and nothing is kept. Delete the folder to have it made again.
    Raises `InvalidValue` for a key that is not JSON, `StoreError` if the folder cannot be written.
    """
    try:
        text = json.dumps(key, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            f"An artifact's key must be finite JSON values with text as names ({error}); it was {dict(key)!r}."
        ) from error
    home = artifacts_home()
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    final = home / digest
    if final.is_dir():
        return final
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / f"{digest}.lock").open("a")
    except OSError as error:
        raise StoreError(
            f"The folder of cached parts {home} cannot be written ({error.strerror}). "
            "Free it, or set WORKBENCH_ARTIFACTS to another folder."
        ) from error
    with lock, _exclusive(lock.fileno()):
        if not final.is_dir():
            part = home / f"{digest}.part"
            shutil.rmtree(part, ignore_errors=True)  # left by a maker that was killed
            part.mkdir()
            try:
                make(part)
                (part / "key.json").write_text(text)
                part.rename(final)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
    return final


@contextmanager
def _exclusive(descriptor: int) -> Iterator[None]:
    """One maker at a time. A POSIX record lock: unlike flock's, a forked child of the maker does not keep it."""
    with _in_this_process:
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN)
