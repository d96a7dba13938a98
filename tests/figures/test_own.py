import numpy as np
import pytest

from tests.figures.recorded import CARD, START, record
from workbench.cards import UnknownName
from workbench.figures.feed import Feed
from workbench.figures.own import card_for
from workbench.figures.source import StoreRuns
from workbench.runs import Store


def test_an_experiment_without_a_card_gets_a_chart_for_each_signal_its_newest_run_recorded(store, ears):
    recording = record(store).go(40)
    steps = np.arange(40)
    recording.writer.append(steps, START + steps, {"train/acc": steps * 1.0, "val/acc": steps * 2.0})
    recording.writer.append_array("many", steps, START + steps, np.ones((40, 30)))
    recording.writer.flush()
    found = card_for(CARD.id, Store(store))
    kinds = {v.id: v.kind for v in found.views}
    assert kinds["loss"] == kinds["width"] == "line"
    assert kinds["many"] == "heatmap"
    assert kinds["confusion"] == "matrix"
    assert kinds["verdicts"] == "text"
    assert [s.signal for s in next(v for v in found.views if v.id == "acc").lines()] == ["train/acc", "val/acc"]
    ear = ears(Feed(StoreRuns(found, Store(store)), found))
    ear.say("hello")
    spec = ear.messages[0][0]
    assert [c["name"] for c in spec["controls"]] == list(CARD.controls)  # as the run's session declared them
    ear.look("acc", "many")
    head, _ = ear.wait(lambda h: h["full"] and h["charts"])
    assert [c["empty"] for c in head["charts"]] == [None, None]
    recording.end()


def test_an_experiment_nobody_ever_ran_is_unknown(store):
    with pytest.raises(UnknownName, match="Did you mean 'certified/ibp'"):
        card_for("certified/ipb", Store(store))
