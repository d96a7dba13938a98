"""What if: click on a curve, change a value, and a child goes its own way from that step, exactly."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_tour import PATIENCE, Tour, notebook_on_disk, until

pytestmark = pytest.mark.browser


@pytest.fixture
def tour(page, lab):
    return Tour(page, lab)


def test_a_fork_by_clicking_on_a_curve(tour):
    page, host = tour.page, tour.host
    tour.open()
    tour.run_cell(0)
    tour.run_cell(1)
    tour.is_in("empty")
    known = {r.id for r in tour.runs()}
    tour.accessible("the form that starts runs")
    host.locator(".arm-box [data-arm=vanilla_bn]").uncheck()
    host.locator("[data-role=start]").click()
    tour.is_in("running")
    [parent] = [r for r in tour.runs() if r.id not in known]
    until(lambda: parent.step >= 40, "the arm trains")

    # a drag zooms and opens nothing; a click opens the box at the curve's point
    plot = host.locator("[data-chart=losses] .u-over, [data-chart=errors] .u-over").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, y, steps=4)
    page.mouse.up()
    expect(host.locator(".popover")).to_be_hidden()
    page.mouse.dblclick(box["x"] + box["width"] - 30, y)
    page.keyboard.press("Escape")

    shown = float(host.locator("[data-role=time]").get_attribute("max"))
    end = plot.evaluate("e => e.clientWidth")
    page.mouse.click(box["x"] + end * min(0.9, 24 / domain(shown, parent.step)), y)
    words = host.locator(".picked-words")
    expect(words).to_contain_text("step")
    step = int(words.locator("b").inner_text().replace("step", "").replace(",", ""))
    assert 0 < step <= parent.step
    tour.shot("tt-1-picked")
    tour.accessible("the box on a curve")

    page.keyboard.press("Enter")  # the box has the focus, on "Fork here…"
    expect(host.locator("[data-role=fork-step]")).to_have_value(str(step))
    field = host.locator("[data-fork=epsilon]")
    expect(field).to_have_value("0.1")
    field.fill("7")
    host.locator("[data-role=fork-go]").click()
    expect(host.locator(".fork .error")).to_contain_text("epsilon must lie between", timeout=PATIENCE)
    assert len(tour.runs()) == len(known) + 1, "a refused fork starts nothing"
    field.fill("0.3")
    tour.shot("tt-2-form")
    tour.accessible("the form that forks")
    host.locator("[data-role=fork-go]").click()
    expect(host.locator(".popover")).to_be_hidden(timeout=PATIENCE)

    chip = host.locator("[data-kind=fork]")
    expect(chip).to_contain_text(f"fork at {step:,}", timeout=PATIENCE)
    [child] = [r for r in tour.runs() if r.parent == parent.id]
    assert child.fork_step == step
    until(lambda: child.step >= step + 10, "the child trains")
    assert child.reader.first_step == step
    assert child.values()["epsilon"] == 0.3
    assert parent.values()["epsilon"] == 0.1
    expect(host.locator(f'.cell [data-fork="{child.id}"]').first).to_be_attached()

    host.locator("[data-tab=compare]").click()
    expect(host.locator(".verdict")).to_contain_text(f"differ first at step {step:,}", timeout=PATIENCE)
    expect(host.locator(".verdict")).to_have_attribute("data-verdict", "differs")
    tour.shot("tt-3-child")
    tour.accessible("the comparison")

    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    until(lambda: "widget-view" in notebook_on_disk(tour), "the notebook is saved with its panel")
    page.reload()
    tour.ready()
    expect(host.locator("[data-kind=fork]")).to_contain_text(f"fork at {step:,}", timeout=PATIENCE)
    tour.shot("tt-4-reloaded")
    host.locator("[data-role=stop]").click()
    tour.is_in("stopped")
    assert {r.wait(60) for r in (parent, child)} == {"stopped"}
    assert not page.problems, page.problems


def domain(planned: float, step: int) -> float:
    """The last step of the axis: the planned length, halved while a young run would fill less than half of it."""
    while planned > 16 and step < 0.45 * planned:
        planned /= 2
    return planned
