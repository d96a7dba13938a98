"""The spare's side: import what is heavy, listen, take one run. ``python -m workbench.steering.spare KEY``."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from workbench.runs import spare

IDLE_SECONDS = 600


def main(key: str) -> int:
    """Wait for a run for ten minutes; the exit status of the run, 0 without one."""
    name = f"{key}-{os.getpid()}"
    marker = spare.folder() / name
    address = spare.folder() / f"{name}.sock"
    marker.touch()
    try:
        _import_heavy()
        request = _listen(address)
    finally:
        marker.unlink(missing_ok=True)
        address.unlink(missing_ok=True)
    if request is None:
        return 0
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    from workbench.journal import RunDir
    from workbench.steering import worker

    log = os.open(RunDir(request["run"]).log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    return worker.main(request["run"])


def _import_heavy() -> None:
    import lightning.pytorch  # noqa: F401
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    import workbench.steering.lightning_adapter
    import workbench.steering.worker  # noqa: F401


def _listen(address: Path) -> dict[str, Any] | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(address))
        server.listen(1)
        server.settimeout(IDLE_SECONDS)
        try:
            link, _ = server.accept()
        except TimeoutError:
            return None
        address.unlink()
        with link:
            link.settimeout(5)
            request = json.loads(link.makefile().readline())
            link.sendall(f"{os.getpid()}\n".encode())
        return request  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
