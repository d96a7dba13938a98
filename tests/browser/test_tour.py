"""The tour as a newcomer takes it: start, steer by mouse, reload, lose the kernel, come back, stop."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from workbench.runs import Run, Store

pytestmark = pytest.mark.browser
OUTPUT = Path(__file__).parent / "output"
AXE = Path(__file__).parents[2] / "extensions/panel/node_modules/axe-core/axe.min.js"
PATIENCE = 240_000  # milliseconds; two cores train, serve and draw at once


class Tour:
    """The tour's notebook, or another one, in a page."""

    def __init__(self, page: Page, lab, name: str = "00_tour", experiment: str = "certified/ibp") -> None:
        self.page, self.lab, self.name, self.experiment = page, lab, name, experiment
        OUTPUT.mkdir(exist_ok=True)

    def open(self) -> None:
        self.page.goto(self.lab.notebook(f"notebooks/{self.name}.ipynb"))
        self.ready()

    def ready(self) -> None:
        """Wait until the notebook is there with its kernel: a cell run before is lost in a dialog."""
        expect(self.page.locator(".jp-NotebookPanel .jp-CodeCell").first).to_be_visible(timeout=PATIENCE)
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=PATIENCE)

    def run_cell(self, number: int) -> None:
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        cell.locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Shift+Enter")
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE)

    @property
    def host(self) -> Locator:
        return self.page.locator(".jp-OutputArea-output [data-lm-suppress-shortcuts]").last

    def is_in(self, state: str) -> None:
        expect(self.host).to_have_attribute("data-state", state, timeout=PATIENCE)

    def shot(self, name: str) -> None:
        self.host.scroll_into_view_if_needed()
        self.host.screenshot(path=OUTPUT / f"{name}.png")

    def accessible(self, where: str) -> None:
        """No rule of axe is broken in the panel as it stands."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.host.evaluate("async (panel) => (await axe.run(panel)).violations")
        words = [(v["id"], v["help"], [n["target"] for n in v["nodes"]]) for v in found]
        assert not words, f"{where}: {words}"

    def runs(self) -> list[Run]:
        return Store(self.lab.store).runs(self.experiment)


def until(true, what: str) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.fixture
def tour(page, lab):
    return Tour(page, lab)


def test_a_newcomer_starts_steers_reloads_restarts_and_stops(tour):
    page = tour.page
    tour.open()
    assert page.locator(".jp-Dialog, .jp-toastContainer .Toastify__toast").count() == 0, "something popped up"
    tour.run_cell(0)
    tour.run_cell(1)
    tour.is_in("empty")
    tour.shot("1-ready")

    tour.host.locator("[data-role=start]").click()
    tour.is_in("running")
    until(lambda: len(tour.runs()) == 2, "two arms start")
    runs = tour.runs()
    assert {r.arm for r in runs} == {"vanilla_bn", "fast"}
    until(lambda: all(r.step >= 30 for r in runs), "both arms train")
    tour.shot("2-running")

    moved_to = drag(page, tour.host.locator("[data-control=epsilon]"), 0.55)
    note = tour.host.locator("[data-control=epsilon] .note")
    expect(note).to_contain_text("applied at step", timeout=PATIENCE)
    records = [next(r for r in run.interventions if r.kind == "set") for run in runs]
    assert {r.outcome for r in records} == {"applied"}
    assert len({r.step for r in records}) == 1, "both arms move at the same step"
    assert records[0].new["epsilon"] == pytest.approx(moved_to, abs=0.006)
    step = records[0].step
    until(lambda: all(r.step > step + 2 for r in runs), "the runs go on")
    for run in runs:
        target = run["eps_target"]
        assert set(target.values[target.steps >= step]) == {records[0].new["epsilon"]}
        assert set(target.values[target.steps < step]) == {0.1}
    frames = int(tour.host.get_attribute("data-rounds"))
    until(lambda: int(tour.host.get_attribute("data-rounds")) > frames, "the curves are drawn anew")
    tour.shot("3-steered")
    if pictures := os.environ.get("WORKBENCH_PICTURES"):
        take_picture(tour, Path(pictures))
    # JupyterLab's own keys must not act on the notebook while a slider has the focus.
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    tour.host.locator("[data-control=epsilon] input[type=range]").focus()
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells

    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    until(lambda: "widget-view" in notebook_on_disk(tour), "the notebook is saved with its panel")
    page.reload()
    tour.ready()
    tour.is_in("running")
    tour.shot("4-reloaded")

    before = [r.step for r in runs]
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.locator('.lm-Menu-item[data-command="kernelmenu:restart"]').click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    tour.is_in("lost")
    expect(tour.host).to_contain_text("run the cell again")
    tour.shot("5-kernel-gone")
    until(lambda: all(r.step > b for r, b in zip(runs, before, strict=True)), "the runs outlive the kernel")

    tour.run_cell(1)
    tour.is_in("running")
    assert {r.id for r in tour.runs()} == {r.id for r in runs}, "the panel found the runs and started none"
    tour.shot("6-back")

    tour.host.locator("[data-role=stop]").click()
    tour.is_in("stopped")
    assert [r.wait(60) for r in runs] == ["stopped", "stopped"]
    tour.shot("7-stopped")
    assert not page.problems, page.problems


def take_picture(tour: Tour, folder: Path) -> None:
    """The README's picture: the panel alone, wide, once the arms have parted."""
    until(lambda: all(r.step > 600 for r in tour.runs()), "the arms part")
    folder.mkdir(parents=True, exist_ok=True)
    tour.page.set_viewport_size({"width": 1680, "height": 1100})
    time.sleep(4)
    tour.host.screenshot(path=folder / "panel.png")
    tour.page.set_viewport_size({"width": 1280, "height": 800})


def drag(page: Page, row: Locator, share: float) -> float:
    """Drag a slider's handle to a share of its width; the value it then shows."""
    slider = row.locator("input[type=range]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    low, high, value = (float(slider.get_attribute(a) or 0) for a in ("min", "max", "value"))
    value = float(slider.input_value())
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8 + (box["width"] - 16) * (value - low) / (high - low), y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (share - 0.1), y, steps=5)
    page.mouse.move(box["x"] + box["width"] * share, y, steps=5)
    page.mouse.up()
    shown = row.locator("output, .value").first.inner_text()
    return float(shown.split()[0])


def notebook_on_disk(tour: Tour) -> str:
    return (tour.lab.folder / "notebooks" / "00_tour.ipynb").read_text()
