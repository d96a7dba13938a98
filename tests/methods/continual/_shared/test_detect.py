"""Forgetting and the stability gap, on accuracies written down by hand."""

from __future__ import annotations

import json

import numpy as np

from workbench.methods.continual._shared.detect import Forgetting, StabilityGap


def told(detector, accuracies: list[float], *, task: int = 1):
    """Findings for the first task's accuracies at probes 20 steps apart, while `task` is trained from the second on."""
    found = []
    for i, accuracy in enumerate(accuracies):
        values = {"probe_accuracy": np.array([accuracy, 50.0]), "task": min(i, task)}
        found.extend(detector.update(20 * i, values))
    found.extend(detector.finish(20 * len(accuracies)))
    return found


def test_a_task_that_stays_15_points_below_its_best_for_three_probes_is_forgotten():
    found = told(Forgetting(), [95, 94, 78, 76, 70, 68, 67])
    assert [(f.first, f.last) for f in found] == [(40, None), (40, 120)]
    assert found[-1].evidence == {"task": 0, "drop": 28.0, "best": 95.0}
    assert found[-1].severity == "warning"


def test_two_low_probes_are_not_forgetting():
    assert not told(Forgetting(), [95, 94, 70, 70, 90, 70, 70, 90])


def test_a_fall_that_is_half_made_good_within_200_steps_is_a_stability_gap():
    found = told(StabilityGap(), [95, 94, 60, 55, 60, 70, 80, 82])
    assert [(f.first, f.last, f.evidence["fell"]) for f in found] == [(40, 120, 40.0)]


def test_a_fall_that_lasts_is_no_stability_gap():
    assert not told(StabilityGap(), [95, 94, *[55] * 12, 90])


def test_a_task_that_has_not_begun_cannot_be_forgotten():
    detector = Forgetting()
    for step, accuracy in enumerate([60, 0, 0, 0, 0]):
        assert not list(detector.update(step, {"probe_accuracy": np.array([90.0, accuracy]), "task": 0}))


def test_a_restored_detector_goes_on_as_the_saved_one_would():
    accuracies = [95, 94, 78, 76, 70, 68]
    whole = told(Forgetting(), accuracies)
    first, found = Forgetting(), []
    for i, accuracy in enumerate(accuracies):
        if i == 3:
            state = json.loads(json.dumps(first.state_dict()))
            first = Forgetting()
            first.load_state_dict(state)
        found.extend(first.update(20 * i, {"probe_accuracy": np.array([accuracy, 50.0]), "task": min(i, 1)}))
    found.extend(first.finish(120))
    assert found == whole
