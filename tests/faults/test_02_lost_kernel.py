"""The kernel is killed, and JupyterLab with it; the run trains on, and a new kernel's panel shows and steers it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from tests.faults.harness import ROOT, answered, pid_of, reach, times, until, whole
from workbench.runs import Run, Store

KERNELS, LABS = times(1, 10), times(0, 3)

START = """
import workbench
panel = workbench.open("faults/plain")
panel.start("as_is", steps=10**6, pace=1.0)
print(panel.run.id)
"""
ATTACH = """
import workbench
panel = workbench.open("faults/plain")
print(panel.run_ids[0])
"""
MOVE = """
sent = panel.set(strength={value})
print(panel.run.wait_outcome(sent[panel.run.id]).outcome)
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """Jupyter's folders of its own; and no spare takes the run: its worker is a child of the kernel's."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}")


def run_in(client: BlockingKernelClient, code: str) -> str:
    """What a cell prints."""
    said: list[str] = []

    def hear(message: dict) -> None:
        content = message["content"]
        said.append(content.get("text", "") if message["msg_type"] == "stream" else "")
        if message["msg_type"] == "error":
            raise AssertionError("\n".join(content["traceback"]))

    client.execute_interactive(code, timeout=120, output_hook=hear)
    return "".join(said).strip()


def answers(client: BlockingKernelClient) -> bool:
    """Whether the kernel is up; on a busy machine its heart may miss the first beat."""
    try:
        client.wait_for_ready(timeout=60)
    except RuntimeError:
        return False
    return True


def same_run_goes_on(run: Run, pid: int) -> None:
    """The worker is the one it was, and trains."""
    reach(run, run.step + 20)
    assert run.state == "running"
    assert pid_of(run) == pid


@contextlib.contextmanager
def kernel():
    manager = KernelManager()
    manager.start_kernel(cwd=str(ROOT))
    client = manager.blocking_client()
    client.start_channels()
    until(lambda: answers(client), "the kernel")
    try:
        yield client, manager.provisioner.pid
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_killed_kernel_takes_nothing_with_it_and_a_new_panel_attaches(tell):
    run = pid = None
    for number in range(KERNELS + 1):
        with kernel() as (client, kernel_pid):
            if run is None:
                run = Store.find().run(run_in(client, START))
                reach(run, 20)
                pid = pid_of(run)
            else:
                same_run_goes_on(run, pid)
                assert run_in(client, ATTACH) == run.id
            assert run_in(client, MOVE.format(value=number + 2.0)) == "applied"
            os.kill(kernel_pid, signal.SIGKILL)
    same_run_goes_on(run, pid)
    moved = finish(run)
    tell(
        "2a",
        "SIGKILL of the kernel that started a run and shows its panel",
        "the run trains on in its own process; the panel of a new kernel attaches to it and steers it",
        kernels_killed=KERNELS + 1, panels_attached_anew=KERNELS, controls_moved=moved, steps=run.step + 1,
    )  # fmt: skip


def finish(run: Run) -> int:
    """Stop it; every step and every command is there. How many controls were moved."""
    issued = run.stop().seq
    assert run.wait(60) == "stopped"
    whole(run, 0, run.step)
    return sum(r.kind == "set" and r.outcome == "applied" for r in answered(run, issued))


@contextlib.contextmanager
def lab(folder: Path):
    """A JupyterLab with a kernel: a client of that kernel, and the process ids of both."""
    log = folder / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", "--no-browser"],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        url = until(lambda: re.search(r"(http://\S+?)/lab\S*token=(\w+)", log.read_text()), "JupyterLab")
        request = urllib.request.Request(
            f"{url[1]}/api/kernels", b"{}", {"Authorization": f"token {url[2]}", "Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            name = json.load(answer)["id"]
        file = Path(os.environ["JUPYTER_RUNTIME_DIR"]) / f"kernel-{name}.json"
        until(file.exists, "the kernel's connection file")
        client = BlockingKernelClient(connection_file=str(file))
        client.load_connection_file()
        client.start_channels()
        until(lambda: answers(client), "the kernel")
        yield client, server
        client.stop_channels()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.skipif(not LABS, reason="a whole JupyterLab is killed by `make faults`")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_killed_jupyterlab_takes_nothing_with_it(tmp_path, tell):
    run = pid = None
    for number in range(LABS + 1):
        with lab(tmp_path) as (client, server):
            if run is None:
                run = Store.find().run(run_in(client, START))
                reach(run, 20)
                pid = pid_of(run)
            else:
                same_run_goes_on(run, pid)
                assert run_in(client, ATTACH) == run.id
            assert run_in(client, MOVE.format(value=number + 2.0)) == "applied"
            kernel_pid = int(run_in(client, "import os; print(os.getpid())"))
            children = [int(p) for p in subprocess.check_output(["pgrep", "-P", str(server.pid)], text=True).split()]
            for victim in {*children, server.pid, kernel_pid}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
    same_run_goes_on(run, pid)
    moved = finish(run)
    tell(
        "2b",
        "SIGKILL of JupyterLab with its kernels while a run trains",
        "the run trains on in its own process; in a new JupyterLab the panel attaches to it and steers it",
        servers_killed=LABS + 1, panels_attached_anew=LABS, controls_moved=moved, steps=run.step + 1,
    )  # fmt: skip
