"""From the press of Start to the first point in the browser."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.benchmarks.browser import PANEL, Notebook, end_spares, lab, spares, until
from tests.benchmarks.figures import Row, of
from workbench.runs import Store
from workbench.tracking import status

NUMBER = 7
EXPERIMENT = "certified/ibp"
BOTH = ("fast", "vanilla_bn")
_CELL = (
    "import os\nimport workbench\nos.environ['WORKBENCH_SPARES'] = '{spares}'\n"
    f"panel = workbench.open('{EXPERIMENT}')\npanel"
)
# Pressed and timed inside the page: until an animation frame finds a chart drawn that is not empty any more.
_START = f"""async () => {{
  const root = document.querySelector('{PANEL}').shadowRoot, begun = performance.now();
  root.querySelector('[data-role=start]').click();
  while (performance.now() - begun < 120000) {{
    await new Promise(requestAnimationFrame);
    for (const cell of root.querySelectorAll('.cell'))
      if (cell.querySelector('canvas') && cell.querySelector('.empty')?.hidden) return performance.now() - begun;
  }}
  return null;
}}"""


def measure(quick: bool) -> Row:
    """The tour's preset with both its arms, started from the form; between two starts the runs are stopped."""
    with tempfile.TemporaryDirectory() as folder, lab(Path(folder)) as opened:
        try:
            with opened.notebook("cold", [_CELL.format(spares=0)]) as notebook:
                cold = [_start(notebook, BOTH, warm=False) for _ in range(1 if quick else 3)]
            with opened.notebook("warm", [_CELL.format(spares=2)]) as notebook:
                warm = [_start(notebook, BOTH, warm=True) for _ in range(2 if quick else 10)]
                alone = [_start(notebook, BOTH[:1], warm=True) for _ in range(2 if quick else 10)]
        finally:
            for run in Store.find().runs(active=True):
                run.stop()
                run.wait(60)
            if mirror := status(Store.find()).pid:
                with suppress(ProcessLookupError):
                    os.kill(mirror, signal.SIGTERM)
    return Row(
        f"Start pressed, until the first point is drawn in the browser: {EXPERIMENT}, preset tour",
        "Pressed and timed inside the page. Warm: two spare workers wait, as they do some seconds after a panel was "
        "opened. Cold: there are none. MLflow's mirror runs beside it.",
        [
            of("warm, one arm", alone, "s", most=1.0),
            of("warm, the tour's two arms at once", warm, "s", most=1.0),
        ],
        [
            of("cold, two arms", cold, "s"),
            of("warm, one arm, slowest", [max(alone)], "s"),
            of("warm, two arms, slowest", [max(warm)], "s"),
        ],
    )


def _start(notebook: Notebook, arms: tuple[str, ...], *, warm: bool) -> float:
    if not warm:
        end_spares()
    notebook.run(0)
    notebook.page.wait_for_timeout(500)  # the old panel of the cell is gone
    notebook.panel("empty")
    if warm:
        until(lambda: len(spares()) >= 2, 120, "two spare workers")
        notebook.page.wait_for_timeout(1_000)
    for arm in BOTH:
        notebook.page.locator(f'{PANEL} input[data-arm="{arm}"]').set_checked(arm in arms)
    took = notebook.page.evaluate(_START)
    if took is None:
        raise TimeoutError("no point was drawn within two minutes")
    notebook.page.evaluate(f"document.querySelector('{PANEL}').shadowRoot.querySelector('[data-role=stop]').click()")
    until(lambda: not Store.find().runs(EXPERIMENT, active=True), 120, "the end of the runs")
    return float(took) / 1e3
