"""A JupyterLab as `workbench lab` starts it, and its page in Chromium at 1280 × 800."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

CHROMIUM = os.environ.get("WORKBENCH_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
PANEL = ".workbench-panel"

# Animation frames counted for so many seconds, and what counters (expressions that give numbers) grew by meanwhile.
_WATCH = """async ([seconds, counters]) => {
  const read = () => Object.entries(counters).map(([name, text]) => [name, new Function('return ' + text)()]);
  const before = Object.fromEntries(read()), begun = performance.now();
  let frames = 0, longest = 0, last = begun;
  while (last - begun < seconds * 1000) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    frames += 1;
  }
  const took = (last - begun) / 1000;
  const rates = read().map(([name, now]) => [name, (now - before[name]) / took]);
  return { fps: frames / took, longest, ...Object.fromEntries(rates) };
}"""


class Lab:
    """A server and a browser. `notebook` opens one; what runs in its cells is the user's kernel."""

    def __init__(self, url: str, folder: Path, browser: Any) -> None:
        self.url, self.folder, self.browser = url, folder, browser

    @contextmanager
    def notebook(self, name: str, cells: Sequence[str]) -> Iterator[Notebook]:
        """A notebook with these cells in a page of its own, file browser closed; gone with its kernel afterwards."""
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in ("import workbench", *cells)])
        made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(made, self.folder / f"{name}.ipynb")
        base, token = self.url.split("/lab", 1)[0], self.url.rsplit("token=", 1)[1]
        page = self.browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(120_000)
        try:
            page.goto(f"{base}/lab/workspaces/{name}/tree/{name}.ipynb?token={token}&reset")
            page.wait_for_selector(".jp-Notebook .jp-Cell .cm-content")
            if page.locator("#jp-left-stack").is_visible():
                page.keyboard.press("Control+b")
            notebook = Notebook(page)
            notebook.ready()
            yield notebook
        except Exception:
            page.screenshot(path=Path(tempfile.gettempdir()) / f"benchmark-{name}.png")  # what it looked like
            raise
        finally:
            page.context.close()


class Notebook:
    """One open notebook."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def run(self, index: int) -> None:
        """Run a cell, with the keyboard, as its user does; returns before it has run."""
        self._cell(index + 1).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def _cell(self, index: int) -> Any:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def ready(self) -> None:
        """Wait for a kernel that answers: on a busy machine Lab asks for one, or begins with one and takes another."""
        for _ in range(20):
            with suppress(PlaywrightTimeout):
                if (asked := self.page.locator(".jp-Dialog .jp-mod-accept")).is_visible():
                    asked.click(timeout=2_000)
                self._cell(0).locator(".cm-content").click(timeout=2_000)
                self.page.keyboard.press("Control+Enter")
                self._cell(0).get_by_text(re.compile(r"^\[\d+\]:$")).first.wait_for(timeout=8_000)
                return
        raise TimeoutError("the notebook's kernel runs no cell")

    def panel(self, state: str) -> None:
        """Wait until a panel is there and in this state, and bring it to the top of the window."""
        self.page.wait_for_selector(f'{PANEL}[data-state="{state}"]')
        self.page.evaluate(f"document.querySelector('{PANEL}').scrollIntoView({{block: 'start'}})")

    def watch(self, seconds: float, **counters: str) -> dict[str, float]:
        """`fps`, the `longest` gap of frames in ms, and each counter's growth a second (JavaScript expressions)."""
        return self.page.evaluate(_WATCH, [seconds, counters])  # type: ignore[no-any-return]


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Start both; end both, and the spare workers that kernels left waiting."""
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")
    # Sockets of kernels and spares have short paths; the kernel finds `tests` where this process found it.
    environment = os.environ | {name: str(folder / name.lower()) for name in own}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    log = folder / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", "--no-browser"],
            cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "token=" in log.read_text() or server.poll() is not None, 180, "JupyterLab")
        found = re.search(r"http://\S+token=\w+", log.read_text())
        if found is None:
            raise RuntimeError(log.read_text())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            yield Lab(found.group(), folder, browser)
            browser.close()
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()
        end_spares()


def spares() -> list[Path]:
    """Sockets of the spare workers that wait now."""
    from workbench.runs import spare

    return list(spare.folder().glob("*.sock"))


def end_spares() -> None:
    """End the spare workers of this benchmark (their folder is its own)."""
    from workbench.runs import spare

    for marker in spare.folder().glob("*-*"):
        if marker.suffix != ".sock":
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(marker.name.rsplit("-", 1)[1]), signal.SIGTERM)
            marker.unlink(missing_ok=True)
    for socket in spares():
        socket.unlink(missing_ok=True)


def until(condition: Callable[[], object], patience: float, what: str) -> None:
    """Wait for it; `TimeoutError` names what did not come."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {patience:g} s")
        time.sleep(0.05)
