"""`workbench lab`: JupyterLab on a notebook, quiet and ready, and in the foreground until it is stopped."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from workbench.cards.errors import MissingData, NotAllowed, StoreError, WorkbenchError

TOUR = Path("notebooks") / "00_tour.ipynb"
FIRST_PORT = 8888

# Nothing pops up over the page: no question about news, no "build recommended".
_SETTINGS = {
    "default_setting_overrides.json": {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
    },
    "page_config.json": {"buildCheck": False, "buildAvailable": False},
}


def start(
    notebook: Path | str | None = None,
    *,
    port: int | None = None,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> int:
    """Serve JupyterLab from the working directory until Ctrl-C; returns the server's exit status.

    `notebook` is opened (the tour, if None and there is one). `port=None` takes 8888 or the next free one, and says
    so; a port that was asked for and is in use is refused. `browser` opens one if the machine has a screen.
    Raises `MissingData` without JupyterLab or the notebook, `NotAllowed` for a port in use, `WorkbenchError` with the
    server's last words if it does not come up.
    """
    if find_spec("jupyterlab") is None:
        raise MissingData("JupyterLab is not installed. Run: pip install 'balance-workbench[lab]'")
    root = Path.cwd()
    opened = _notebook(notebook, root)
    chosen = free_port() if port is None else port
    if port is not None and not port_is_free(port):
        raise NotAllowed(f"Port {port} is in use. Leave --port out to take a free one, or name another.")
    if port is None and chosen != FIRST_PORT:
        say(f"Port {FIRST_PORT} is in use, so this one takes {chosen}.")

    from workbench.runs.store import Store

    home = Store.find().path
    folder = home / "lab"
    log = folder / "server.log"
    token = secrets.token_hex(24)
    try:
        environment = _environment(folder, token)
        output = log.open("w")
    except OSError as error:
        raise StoreError(
            f"The store {home} cannot be written ({error.strerror or error}). Mend its permissions, or set "
            "WORKBENCH_HOME to another folder."
        ) from error
    with output:
        server = subprocess.Popen(
            _command(chosen, root),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process, which ends the server in order
        )
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _wait_until_up(server, chosen, token, log)
        path = f"/tree/{quote(opened.as_posix())}" if opened else ""
        url = f"http://127.0.0.1:{chosen}/lab{path}?token={token}"
        say(f"\nJupyterLab: {url}\n")
        say(f"Runs are kept in {home}. To see them in MLflow, in another terminal:\n  {_mlflow_hint()}")
        say(f"The server's log is {log}. Ctrl-C ends JupyterLab; runs go on.")
        if browser and has_screen():
            webbrowser.open(url)
        return server.wait()
    except KeyboardInterrupt:
        say("\nJupyterLab ends. Runs that train go on: `workbench runs` lists them.")
        return 0
    finally:
        stop(server)


def _notebook(notebook: Path | str | None, root: Path) -> Path | None:
    """The notebook to open, relative to the served folder."""
    if notebook is None:
        return TOUR if (root / TOUR).is_file() else None
    path = (root / notebook).resolve()
    if not path.is_file():
        raise MissingData(f"There is no notebook {path}.")
    if not path.is_relative_to(root.resolve()):
        raise NotAllowed(f"{path} lies outside the served folder {root}. Change into its folder first.")
    return path.relative_to(root.resolve())


def _command(port: int, root: Path) -> list[str]:
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.answer_yes=True",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    return [*command, "--allow-root"] if os.geteuid() == 0 else command


def _environment(folder: Path, token: str) -> dict[str, str]:
    """The server's environment: settings and window layout of its own in `folder`, the token unseen by `ps`."""
    labconfig = folder / "config" / "labconfig"
    labconfig.mkdir(parents=True, exist_ok=True)
    for name, content in _SETTINGS.items():
        (labconfig / name).write_text(json.dumps(content, indent=2))
    paths = [str(folder / "config"), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return os.environ | {
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }


def _mlflow_hint() -> str:
    """How to see the mirrored runs in MLflow's own pages; typed as it stands, also without an activated environment."""
    from workbench.tracking import ui_command

    command = ui_command()
    program = Path(sys.executable).parent / "mlflow"
    if command.startswith("mlflow ") and shutil.which("mlflow") != str(program):
        command = command.replace("mlflow", shlex.quote(str(program)), 1)
    return command


def _wait_until_up(server: subprocess.Popen[bytes], port: int, token: str, log: Path) -> None:
    """Return once the server answers. Raises `WorkbenchError` with its last words if it ends or never answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/status", headers={"Authorization": f"token {token}"})
    deadline = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    words = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise WorkbenchError(f"JupyterLab did not come up on port {port}. Its last words, from {log}:\n{words}")


def stop(server: subprocess.Popen[bytes], patience: float = 10) -> None:
    """End a server and its kernels; runs are processes of their own and go on."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(patience)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def port_is_free(port: int) -> bool:
    """Whether a server could listen on `port` of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(first: int = FIRST_PORT) -> int:
    """The first free port from `first` on. Raises `NotAllowed` after a hundred taken ones."""
    for port in range(first, first + 100):
        if port_is_free(port):
            return port
    raise NotAllowed(f"The ports {first} to {first + 99} are all in use. Name a free one with --port.")


def has_screen() -> bool:
    """Whether a graphical browser can open here: on macOS always, elsewhere with a display and a browser."""
    if sys.platform != "darwin" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True
