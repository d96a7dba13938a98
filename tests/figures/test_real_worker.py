"""The whole way with a real worker process: start, curves, a moved control at one step, stop."""

import numpy as np
import pytest

from workbench.cards import card
from workbench.figures.feed import Feed
from workbench.figures.source import StoreRuns
from workbench.runs import Store

EXPERIMENT = "certified/ibp"
PATIENCE = 240.0  # seconds until the test gives up; nothing is measured


@pytest.fixture
def ear(store, ears):
    found = card(EXPERIMENT)
    made = ears(Feed(StoreRuns(found, Store(store)), found))
    yield made
    if made.feed.run_ids:
        made.ask("stop")
        made.wait(lambda h: h["runs"] and all(r["state"] in ENDED for r in h["runs"]), patience=PATIENCE)


ENDED = ("finished", "stopped", "failed", "lost")


def test_two_arms_start_side_by_side_move_together_and_stop(ear, numbers):
    views = [v.id for v in card(EXPERIMENT).views]
    ear.look(*views)
    answer = ear.ask("start", arms=["vanilla_bn", "fast"], preset="smoke", seed=3, values={"steps": 100_000})
    assert answer["ok"], answer
    ids = answer["result"]["runs"]
    assert len(ids) == 2
    ear.wait(lambda h: h["runs"] and all(r["step"] >= 3 for r in h["runs"]), patience=PATIENCE)

    moved = ear.ask("set", values={"epsilon": 0.05})
    assert moved["ok"], moved
    at_step = moved["result"]["at_step"]
    head, _ = ear.wait(lambda h: len(h["interventions"]) == 2, patience=PATIENCE)
    assert [(i["kind"], i["outcome"], i["step"]) for i in head["interventions"]] == [("set", "applied", at_step)] * 2
    assert {r["values"]["epsilon"] for r in head["runs"]} == {0.05}

    refused = ear.ask("set", values={"epsilon": 8})
    assert not refused["ok"]
    assert "epsilon must lie between" in refused["error"]

    head, buffers = ear.wait(
        lambda h: h["runs"] and all(r["step"] > at_step for r in h["runs"]), full=True, patience=PATIENCE
    )
    charts = {c["id"]: c for c in head["charts"]}
    assert sorted(charts) == sorted(views)
    drawn = [s for c in charts.values() for s in c.get("series", []) if "mean" in s]
    assert {s["run"] for s in drawn} == set(ids)
    for series in drawn:
        values = numbers(buffers, series["mean"])
        assert np.isfinite(values).any() or series["gaps"], series["key"]

    assert ear.ask("stop")["ok"]
    head, _ = ear.wait(lambda h: h["runs"] and all(r["state"] in ENDED for r in h["runs"]), patience=PATIENCE)
    assert {r["state"] for r in head["runs"]} == {"stopped"}, [r["message"] for r in head["runs"]]


def test_bad_values_start_nothing(ear):
    ear.look("errors")
    answer = ear.ask("start", arms=["fast", "fsat"], preset="smoke", seed=0, values={})
    assert not answer["ok"]
    assert "Did you mean 'fast'" in answer["error"]
    assert ear.feed.source.listing() == []
