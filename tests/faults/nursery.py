"""Spare workers by the dozen: one process that has imported torch and lightning, and forks a worker for each run.

Speaks what the product's own spares speak, so that launching finds it. Runs are processes of their own all the same,
with sessions, locks and process ids of their own; only the seconds of importing are paid once.
``python -m tests.faults.nursery KEY``; ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from workbench.runs import spare
from workbench.steering.spare import _import_heavy


def main(key: str) -> None:
    """Listen and fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # killed workers leave no zombies
    _import_heavy()
    address = spare.folder() / f"{key}-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(address))
        server.listen(16)
        print("ready", flush=True)
        made: list[int] = []
        while True:
            ready, _, _ = select.select([server, sys.stdin], [], [])
            if sys.stdin in ready:
                return _end(made)
            link, _ = server.accept()
            with link, contextlib.suppress(OSError, ValueError):  # the asker may be gone: nobody else shall lose by it
                request = json.loads(link.makefile().readline())
                if (pid := os.fork()) == 0:
                    link.close()
                    server.close()
                    os._exit(_work(request))
                made.append(pid)
                link.sendall(f"{pid}\n".encode())


def _end(made: list[int]) -> None:
    """No worker outlives the tests."""
    for pid in made:
        with contextlib.suppress(OSError):
            mine = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] == str(os.getpid())
            if mine:  # and not somebody else's who was given the number since
                os.kill(pid, signal.SIGKILL)


def _work(request: dict) -> int:
    from tests.faults import deadly
    from workbench.journal import RunDir
    from workbench.steering import worker

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for path, flags, target in (
        (os.devnull, os.O_RDONLY, 0),
        (RunDir(request["run"]).log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 1),
    ):
        fd = os.open(path, flags, 0o644)
        os.dup2(fd, target)
        os.close(fd)
    os.dup2(1, 2)
    if order := os.environ.get(deadly.VARIABLE):
        deadly.arm(order)
    try:
        return worker.main(request["run"])
    except Exception:  # noqa: BLE001 (as the interpreter does at a process's end)
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    main(sys.argv[1])
