"""Detectors of the average: nothing dynamic, nothing learned; and what they say of recorded tours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from workbench.cards import card
from workbench.detectors import load, scan
from workbench.methods.continual.coin.detect import EmaNotDynamic, PlasticityLoss

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "continual__coin.npz"


def columns(share: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"dynamic_share": (np.arange(len(share)), share)}


def test_a_hundred_steps_on_the_fallback_make_a_finding_from_the_first_of_them_on():
    share = np.concatenate([np.full(50, 0.5), np.zeros(150), np.full(300, 0.5)])
    found = scan(columns(share), [EmaNotDynamic()])
    assert [f.id for f in found] == ["ema_not_dynamic"]
    assert 40 <= found[0].first <= 60
    assert not scan(columns(np.full(400, 0.06)), [EmaNotDynamic()])
    assert not scan(columns(np.zeros(99)), [EmaNotDynamic()])


def test_a_restored_detector_goes_on_as_the_saved_one_would():
    first, second = EmaNotDynamic(), EmaNotDynamic()
    for step in range(99):
        assert not list(first.update(step, {"dynamic_share": 0.0}))
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [f.first for f in second.update(99, {"dynamic_share": 0.0})] == [0]


def test_a_task_that_the_average_has_not_learned_is_told_by_name():
    def told(kept: float):
        values = {"task": 3, "new_task_accuracy": kept, "new_task_accuracy_trained": 90.0}
        return list(PlasticityLoss().update(10, values))

    assert not told(81.0)
    found = told(55.0)
    assert found[0].subject == "task 3"
    assert found[0].severity == "serious"


def test_sequential_tuning_is_told_to_forget_its_first_task_and_grouping_is_not():
    arrays = np.load(JOURNAL)
    forgets = {}
    for arm in ("sequential", "grouped"):
        names = [n for n in arrays.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        series = {n.split(".", 1)[1]: (arrays[f"{n}.steps"], arrays[n]) for n in names}
        found = scan(series, load(card("continual/coin")))
        forgets[arm] = [f.subject for f in found if f.id == "forgetting"]
    assert forgets == {"sequential": ["task 0"], "grouped": []}
