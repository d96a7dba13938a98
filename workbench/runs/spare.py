"""Spare workers: processes that have torch and lightning imported and wait for a run, so that Start takes no time.

A spare listens on a Unix socket, takes one run, and leaves after ten idle minutes. It runs no user code before.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.runs.run import Run

COUNT = 2
PATIENCE = 2.0  # seconds for a spare's answer; a process of one's own takes little longer to start
_VOLATILE = (
    "JPY_",
    "JUPYTER",
    "IPYKERNEL",
    "PYTEST",
    "COLUMNS",
    "LINES",
    "SHLVL",
    "PWD",
    "OLDPWD",
    "_",
    "TERM",
    "GIT_",
    "PYTORCH_NVML_",  # these two are set by importing torch and lightning
    "TORCHINDUCTOR_",
)
_OURS = ("WORKBENCH_", "MLFLOW_")  # read when the run starts, not at import


def folder() -> Path:
    """Where this user's spares listen; short, because socket paths are limited to about 100 bytes."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    path = Path(base) / f"workbench-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else")
    return path


def key() -> str:
    """Same interpreter, code and environment ⇒ same key; a spare serves only its own."""
    stable = sorted((k, v) for k, v in os.environ.items() if not k.startswith(_VOLATILE + _OURS))
    text = json.dumps([sys.executable, str(Path(__file__).resolve()), _threads(), stable])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _threads() -> str:
    return "1"


def warm(count: int = COUNT) -> None:
    """See to it that `count` spares are waiting (or on their way); returns at once."""
    if os.environ.get("WORKBENCH_SPARES", "").strip() == "0":
        return
    try:
        here = folder()
    except OSError:
        return  # without a private folder there are no spares, only slower starts
    waiting = [p for p in here.glob(f"{key()}-*") if _alive(p)]
    for _ in range(count - len(waiting)):
        environment = {**os.environ, "OMP_NUM_THREADS": _threads(), "MKL_NUM_THREADS": _threads()}
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.steering.spare", key()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/", env=environment,
        )  # fmt: skip
        (here / f"{key()}-{process.pid}").touch()  # counts as waiting until it listens at <name>.sock
        reap_later(process)


def warm_later(seconds: float = 15.0) -> None:
    """`warm`, once the run that took a spare has got going and the processor is less busy."""
    timer = threading.Timer(seconds, warm)
    timer.daemon = True
    timer.start()


def hand_over(run: Run) -> int | None:
    """Give the run to a spare; its process id, or None if no spare took it."""
    if str(run.config.get("run", {}).get("threads", 1)) != _threads():
        return None
    try:
        sockets = sorted(folder().glob(f"{key()}-*.sock"), key=lambda p: p.stat().st_mtime)
    except OSError:
        return None
    for path in sockets:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(PATIENCE)
                link.connect(str(path))
                link.sendall(
                    json.dumps({"run": str(run.dir.path), "cwd": str(Path.cwd()), "env": dict(os.environ)}).encode()
                    + b"\n"
                )
                answer = link.makefile().readline()
            if answer.strip():
                return int(answer)
        except (OSError, ValueError):
            pass
        path.unlink(missing_ok=True)
    return None


def reap_later(process: subprocess.Popen[bytes]) -> None:
    """Wait for a child in a thread of its own, so that it does not stay a zombie of a long-lived notebook."""
    threading.Thread(target=process.wait, name="workbench-reap", daemon=True).start()


def _alive(marker: Path) -> bool:
    """Whether the spare behind a marker or socket file lives; sockets are counted by their marker."""
    if marker.suffix == ".sock":
        return False
    try:
        pid = int(marker.name.rsplit("-", 1)[1])
        os.kill(pid, 0)
        return time.time() - marker.stat().st_mtime < 900
    except (OSError, ValueError):
        marker.unlink(missing_ok=True)
        return False
