"""Detectors of the balance: on made-up courses, across a restart, and on the recorded tour."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import card
from workbench.detectors import load, scan
from workbench.methods.reinforcement.amft.detect import ForgettingInRl, GradientConflict, ImitationLock

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "reinforcement__amft.npz"


def told(detector, rows):
    """The last state of each finding of these values, a step each."""
    found = {}
    for step, values in enumerate(rows):
        found |= {f.key: f for f in detector.update(step, values)}
    return list((found | {f.key: f for f in detector.finish(len(rows) - 1)}).values())


def rises(*values):
    return [{"nll_rise": v} for v in values]


def test_a_loss_on_traces_a_fifth_above_its_lowest_is_told_and_once_is_not_enough():
    [found] = told(ForgettingInRl(), rises(0.0, 0.1, 0.25, 0.4, 0.1))
    assert (found.first, found.last, found.severity) == (2, 3, "warning")
    assert "40% above" in found.sentence
    assert not told(ForgettingInRl(), rises(0.0, 0.25, 0.1, 0.3, 0.19))
    [worse] = told(ForgettingInRl(), rises(0.0, 1.2, 1.2))
    assert worse.severity == "serious"


def locked(mu, rewards):
    return [{"mixing_weight": mu, "reward": r} for r in rewards]


def test_thirty_steps_of_imitation_with_a_flat_reward_are_told():
    [found] = told(ImitationLock(), locked(0.95, [0.4] * 33))
    assert (found.first, found.last) == (29, 32)
    assert not told(ImitationLock(), locked(0.95, [0.4] * 29))
    assert not told(ImitationLock(), locked(0.85, [0.4] * 40))
    assert not told(ImitationLock(), locked(0.95, np.linspace(0.2, 0.6, 40)))
    freed = [*locked(0.95, [0.4] * 29), *locked(0.5, [0.4]), *locked(0.95, [0.4] * 29)]
    assert not told(ImitationLock(), freed)


def test_ten_steps_of_opposed_gradients_are_told():
    [found] = told(GradientConflict(), [{"gradient_cosine": -0.3}] * 12)
    assert (found.first, found.last) == (0, 11)
    assert "-0.30" in found.sentence
    assert not told(GradientConflict(), [{"gradient_cosine": -0.3}] * 9 + [{"gradient_cosine": 0.1}])
    assert not told(GradientConflict(), [{"gradient_cosine": -0.15}] * 30)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (ForgettingInRl, rises(0.0, 0.3, 0.3, 0.4, 0.1, 0.1)),
        (ImitationLock, locked(0.95, [0.4] * 33)),
        (GradientConflict, [{"gradient_cosine": -0.3}] * 12),
    ],
)
def test_a_restored_detector_goes_on_as_the_saved_one_would(kind, rows):
    for cut in range(1, len(rows)):
        first, second = kind(), kind()
        for step, values in enumerate(rows[:cut]):
            list(first.update(step, values))
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        for step, values in enumerate(rows[cut:], cut):
            assert list(first.update(step, values)) == list(second.update(step, values))
        assert list(first.finish(99)) == list(second.finish(99))


def test_recorded_sft_then_rl_forgets_to_its_end_and_the_steered_mixture_does_not():
    recorded = np.load(JOURNAL)
    found = {}
    for arm in ("sft_rl", "amft"):
        names = [n for n in recorded.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        columns = {n.split(".", 1)[1]: (recorded[f"{n}.steps"], recorded[n]) for n in names}
        found[arm] = {f.id: f for f in scan(columns, load(card("reinforcement/amft")))}
    forgotten = found["sft_rl"]["forgetting_in_rl"]
    assert forgotten.first > 40
    assert forgotten.last is None or forgotten.last >= 99
    assert "forgetting_in_rl" not in found["amft"]
    assert "imitation_lock" not in found["amft"]
