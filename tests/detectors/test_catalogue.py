"""Which detectors a card gets, and what happens to one that fails."""

import sys
import types

import numpy as np
import pytest

from workbench.cards import Card, Config, Paper, Signal
from workbench.cards.errors import UnknownName, WorkbenchError
from workbench.cards.findings import Finding
from workbench.detectors import Detector, Detectors, load
from workbench.detectors.dead_units import DeadUnits


class Tall(Detector):
    """Fires at every value above one: the plainest detector there can be."""

    id = "tall"
    needs = ("height",)

    def update(self, step, values):
        if values["height"] > 1:
            yield Finding(id="tall", title="Tall", first=step, last=step, sentence=f"height {values['height']:.1f}")


class Broken(Detector):
    """Raises at the first value."""

    id = "broken"
    needs = ("*",)

    def update(self, step, values):
        raise ZeroDivisionError("no luck")


@pytest.fixture
def card(monkeypatch):
    module = types.ModuleType("somebody.detect")
    module.Tall, module.experts, module.number = Tall, DeadUnits(), 3
    module.experts.needs = ("picked",)
    monkeypatch.setitem(sys.modules, "somebody", types.ModuleType("somebody"))
    monkeypatch.setitem(sys.modules, "somebody.detect", module)

    def make(*detectors):
        return Card(
            title="t", paper=Paper("p", "v", 2026), phenomenon="", remedy="", config=Config, views=(), arms=(),
            presets=(), detectors=detectors, package="somebody", id="a/b",
            signals=(Signal("picked", shape="vector", labels=("ant", "bee", "cat")),),
        )  # fmt: skip

    return make


def test_a_card_gets_what_it_names_and_what_every_run_gets(card):
    assert [d.id for d in load(card("detect:Tall", "spike"))] == ["tall", "spike", "non_finite"]


def test_without_a_card_all_generic_ones_watch():
    assert {d.id for d in load()} >= {"non_finite", "spike", "divergence"}


def test_a_ready_instance_is_copied_and_speaks_in_the_cards_labels(card):
    first, second = load(card("detect:experts"))[0], load(card("detect:experts"))[0]
    assert first is not second
    assert first.wants("picked")
    assert not first.wants("expert_load")
    values = np.ones((80, 3))
    values[:, 1] = 0
    (finding,) = list(first.update_block(np.arange(80), {"picked": values}))[:1]
    assert "(bee)" in finding.sentence


def test_an_unknown_name_suggests_the_nearest(card):
    with pytest.raises(UnknownName, match=r"no detector 'spikes'.*Did you mean 'spike'"):
        load(card("spikes"))
    with pytest.raises(UnknownName, match="Did you mean 'Tall'"):
        load(card("detect:Tal"))


def test_a_name_that_is_no_detector_is_refused_in_words(card):
    with pytest.raises(WorkbenchError, match="is not a Detector"):
        load(card("detect:number"))


def test_a_plain_detector_is_called_step_by_step_with_what_it_needs():
    told = Detectors([Tall()]).update_block(np.array([4, 6]), {"height": np.array([0.5, 2.0]), "x": np.zeros(2)})
    assert [(f.first, f.sentence) for f in told] == [(6, "height 2.0")]


def test_a_detector_that_raises_is_switched_off_says_so_and_stops_nobody_else():
    detectors = Detectors([Broken(), Tall()])
    told = detectors.update_block(np.array([3]), {"height": np.array([2.0])})
    assert [f.id for f in told] == ["detector_failed", "tall"]
    assert "broken failed at step 3" in told[0].sentence
    assert "no luck" in told[0].sentence
    assert [f.id for f in detectors.update_block(np.array([4]), {"height": np.array([2.0])})] == ["tall"]
