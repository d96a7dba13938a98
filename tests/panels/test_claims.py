"""The table of claims in a notebook: what stands there before, while and after they are tested."""

from __future__ import annotations

import pytest

import workbench
from tests.runs import toy_family
from workbench.cards import UnknownName
from workbench.runs import Store
from workbench.runs.claims import load


@pytest.fixture
def toy(tmp_path, monkeypatch):
    yield toy_family.install(tmp_path / "site", monkeypatch)
    monkeypatch.undo()
    toy_family.forget()


def shown(widget):
    return widget.children[1].value


def test_before_anything_has_run_the_table_shows_claim_and_rule(toy):
    made = workbench.claims("toys")
    text = shown(made)
    assert "Half the gain halves the error." in text
    assert "two-sided 90 % paired t interval" in text
    assert text.count("not tested") == 3
    assert repr(made) == "3 claims, none tested yet; start() runs them."


def test_started_it_finds_the_runs_of_the_store_and_shows_the_verdict(toy, tmp_path):
    toy_family.all_six(Store.find())
    made = workbench.claims("toys/toy")
    made._chosen = made._chosen[:1]
    assert made.start().wait(120).results[0]["claims"][0]["verdict"] == "reproduced"
    assert not made.running
    assert "3 of 3 seeds" in shown(made)
    assert "1 of 1 claims reproduced" in shown(made)
    assert len(Store.find().runs()) == 6
    [path] = made.save(tmp_path / "kept")
    assert load(path.parent) == made.results


def test_an_error_in_the_background_is_said_and_not_lost(toy):
    made = workbench.claims("toys", seeds=0)
    made.start().wait(60)
    assert "at least 1 seed; got 0" in made.children[0].children[1].value


def test_an_unknown_family_is_refused_with_the_nearest(toy):
    with pytest.raises(UnknownName, match="Did you mean 'toys'"):
        workbench.claims("toy")


def test_results_that_come_with_the_workbench_are_shown_at_once():
    made = workbench.claims("certified/ibp")
    kept = [c for f in load() if f["experiment"] == "certified/ibp" for c in f["claims"]]
    for claim in kept:
        assert claim["verdict"] in shown(made)
