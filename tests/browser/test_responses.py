"""Reinforcement of a language model, steered by mouse while one leafs through what it answers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.test_tour import PATIENCE, Tour, drag, until
from workbench.figures.responses import parsed
from workbench.journal import CommandRecord
from workbench.runs import Run

pytestmark = pytest.mark.browser


@pytest.fixture
def tour(page, lab):
    return Tour(page, lab, "30_reinforcement", "reinforcement/bai")


def test_two_sliders_are_dragged_and_the_responses_held_and_leafed_through(tour):
    page, host = tour.page, tour.host
    tour.open()
    tour.run_cell(0)
    tour.run_cell(1)
    tour.is_in("empty")
    host.locator("[data-preset=smoke]").click()  # small steps, but as many as this test needs
    unfold(host, "Run")
    host.locator("[data-control=steps] .value").click()
    host.locator("[data-control=steps] input.entry").fill("2000")
    page.keyboard.press("Enter")
    expect(host.locator(".start .summary")).to_contain_text("2 runs of 2,000 steps each")
    host.locator("[data-role=start]").click()
    tour.is_in("running")
    until(lambda: len(tour.runs()) == 2 and all(r.step >= 3 for r in tour.runs()), "both arms train")
    runs = tour.runs()
    assert {r.arm for r in runs} == {"distilled", "bai"}

    for name, group, share in (("clip", "Reinforcement", 0.8), ("temperature", "Rollouts", 0.3)):
        unfold(host, group)
        row = host.locator(f"[data-control={name}]")
        moved_to = drag(page, row, share)
        # where the machine is slow, values on the way there are applied, too
        wait_for_change(runs, name, moved_to)
        records = [newest_change(run, name) for run in runs]
        assert {r.outcome for r in records} == {"applied"}
        assert len({r.at_step for r in records}) == 1, "both arms are asked to move at the same step"
        words = f"step {max(r.step for r in records):,}"  # a run that was past it moves at its next
        expect(row.locator(".note")).to_contain_text(f"applied at {words}", timeout=PATIENCE)
        expect(host.locator(f'.mark[title*="{words}"]').first).to_be_attached(timeout=PATIENCE)
    tour.shot("rl-1-steered")

    answers = host.locator("[data-chart=responses]")
    answers.scroll_into_view_if_needed()
    where, hold = answers.locator(".responses-where"), answers.locator("[data-role=responses-hold]")
    shown = next(r for r in runs if r.id == answers.locator("select[aria-label=Run]").input_value())
    expect(hold).to_have_text("Hold")
    hold.click()
    expect(where).to_contain_text("held", timeout=PATIENCE)
    expect(hold).to_have_text("Follow")
    held = step_of(where)
    until(lambda: shown.step >= held + 3, "training goes on")
    expect(where).to_contain_text("newest", timeout=PATIENCE)
    assert step_of(where) == held, "it stays at the step while training goes on"
    said_as_recorded(answers, shown, held)
    answers.locator("[data-role=responses-earlier]").click()
    expect(where).to_contain_text(f"step {held - 1:,},", timeout=PATIENCE)
    said_as_recorded(answers, shown, held - 1)
    tour.shot("rl-2-held")
    tour.accessible("responses held at a step")
    hold.click()
    expect(where).not_to_contain_text("held", timeout=PATIENCE)
    expect(hold).to_have_text("Hold")
    assert step_of(where) >= held + 3

    host.locator("[data-role=stop]").click()
    tour.is_in("stopped")
    assert [r.wait(60) for r in runs] == ["stopped", "stopped"]
    assert not page.problems, page.problems


def unfold(host: Locator, group: str) -> None:
    head = host.locator(f'[data-group="{group}"] .group-head')
    if head.get_attribute("aria-expanded") == "false":
        head.click()


def newest_change(run: Run, name: str) -> CommandRecord | None:
    """The record of a control's last move; None: it has not been moved."""
    return next((i for i in reversed(run.interventions) if i.kind == "set" and name in i.new), None)


def wait_for_change(runs: list[Run], name: str, value: float) -> None:
    def there() -> bool:
        found = [newest_change(run, name) for run in runs]
        return all(i is not None and i.new[name] == pytest.approx(value, abs=0.006) for i in found)

    until(there, f"{name} is {value} in all runs")


def step_of(where: Locator) -> int:
    found = re.search(r"step ([\d,]+)", where.inner_text())
    assert found is not None
    return int(found[1].replace(",", ""))


def said_as_recorded(answers: Locator, run: Run, step: int) -> None:
    """The page shows the responses that the journal holds for that step."""
    recorded = run.reader.text_at("responses", step)
    assert recorded is not None
    assert recorded[0] == step
    for shown, response in zip(answers.locator(".said").all(), parsed(recorded[1])[0], strict=True):
        assert "".join(shown.inner_text().split()).endswith("".join(f"{response.text}{response.note}".split()))
