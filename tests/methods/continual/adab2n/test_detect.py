"""Recency bias is told from weight and distance together, and not on the recorded remedy's last task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import card
from workbench.detectors import load, scan
from workbench.methods.continual.adab2n.detect import BnRecencyBias

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "continual__adab2n.npz"


def told(detector: BnRecencyBias, ratios: list[float], *, mass: float = 0.8, start: int = 50, task: int = 1):
    """Findings when `task` begins at step 0 and probes from its step `start` on, 5 steps apart, show these ratios."""
    found = list(detector.update(0, {"task": task, "bn_mass": np.full(2, mass)}))
    for i, ratio in enumerate(ratios):
        values = {"task": task, "bn_mass": np.full(2, mass), "bn_recency_ratio": ratio}
        found.extend(detector.update(start + 5 * i, values))
    found.extend(detector.finish(start + 5 * len(ratios)))
    return found


def test_five_probes_in_a_row_make_a_finding_from_the_first_of_them_on():
    found = told(BnRecencyBias(), [1.2, 2, 2, 2, 2, 2, 1])
    assert [(f.first, f.last) for f in found] == [(55, None), (55, 75)]
    assert "80%" in found[0].sentence
    assert "an even share is 50%" in found[0].sentence


@pytest.mark.parametrize(
    "case",
    [
        {"ratios": [2, 2, 2, 2, 1, 2, 2, 2, 2]},  # never five in a row
        {"ratios": [2] * 9, "mass": 0.66},  # less than a third of the way from 0.5 to 1
        {"ratios": [2] * 9, "start": 5},  # the task has only begun
        {"ratios": [2] * 9, "task": 0},  # there is no old task
    ],
)
def test_anything_less_is_none(case):
    assert not told(BnRecencyBias(), **case)


def test_a_restored_detector_goes_on_as_the_saved_one_would():
    ratios = [2.0] * 4
    first = BnRecencyBias()
    told_before = list(first.update(0, {"task": 1, "bn_mass": np.full(2, 0.8)}))
    for i, ratio in enumerate(ratios):
        told_before.extend(first.update(50 + 5 * i, {"bn_recency_ratio": ratio}))
    assert not told_before
    second = BnRecencyBias()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert [f.first for f in second.update(70, {"bn_recency_ratio": 2.0})] == [50]


def recorded(arm: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    arrays = np.load(JOURNAL)
    names = [n for n in arrays.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
    return {n.split(".", 1)[1]: (arrays[f"{n}.steps"], arrays[n]) for n in names}


def test_on_recorded_runs_batch_norm_ends_with_the_bias_and_adab2n_without():
    open_at_the_end = {}
    for arm in ("bn", "adab2n_slow"):
        columns = recorded(arm)
        last = int(columns["bn_recency_ratio"][0][-1])
        found = [f for f in scan(columns, load(card("continual/adab2n"))) if f.id == "bn_recency_bias"]
        open_at_the_end[arm] = any(f.last is not None and f.last >= last for f in found)
        assert bool(found) == open_at_the_end[arm], "the remedy is silent throughout"
    assert open_at_the_end == {"bn": True, "adab2n_slow": False}
