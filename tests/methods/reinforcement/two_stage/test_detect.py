"""Detectors of the two stages: on made-up courses, across a restart, and on the recorded tour."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workbench.cards import card
from workbench.detectors import load, scan
from workbench.methods.reinforcement.two_stage.detect import RlEatsAccuracy, SftUndertrained, StaysLong

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "reinforcement__two_stage.npz"


def told(detector, rows):
    """The last state of each finding of rows (step, values)."""
    found = {}
    for step, values in rows:
        found |= {f.key: f for f in detector.update(step, values)}
    return list((found | {f.key: f for f in detector.finish(rows[-1][0])}).values())


def evaluation(slope, cost, epoch=5.0):
    return {"accuracy_slope": slope, "tokens_per_correct": cost, "one_pass": 11.0, "epoch": epoch}


def test_flat_accuracy_at_a_high_price_is_told_and_ends_when_the_price_falls():
    rows = [(0, evaluation(5.0, 33.0)), (10, evaluation(0.5, 32.0)), (20, evaluation(0.4, 32.0))]
    [found] = told(StaysLong(), rows)
    assert (found.first, found.last) == (10, 20)
    assert "2.9 times" in found.sentence
    cheaper = [*rows, (30, {"tokens_per_correct": 12.0, "one_pass": 11.0})]
    [found] = told(StaysLong(), [*cheaper, (40, {"tokens_per_correct": 12.0, "one_pass": 11.0})])
    assert found.last == 20
    assert not told(StaysLong(), [(10, evaluation(0.5, 20.0))])  # cheap
    assert not told(StaysLong(), [(10, evaluation(0.5, 32.0, epoch=2.0))])  # too early to tell


def test_sft_that_ends_while_accuracy_rises_is_told_at_the_border_or_at_the_end():
    [at_border] = told(SftUndertrained(), [(12, {"accuracy_slope": 4.0, "stage": 1.0}), (13, {"stage": 1.0})])
    assert (at_border.first, at_border.last) == (12, 12)
    [at_end] = told(SftUndertrained(), [(11, {"accuracy_slope": 4.0, "stage": 0.0})])
    assert "when the run ended" in at_end.sentence
    assert not told(SftUndertrained(), [(12, {"accuracy_slope": 0.9, "stage": 1.0})])
    assert not told(SftUndertrained(), [(0, {"stage": 1.0})])  # no SFT at all


def change(accuracy, length):
    return {"accuracy_change": accuracy, "length_left": length}


def test_accuracy_that_falls_with_the_length_is_told_and_alone_is_not():
    fall = [(0, change(0.0, 1.0)), (4, change(-0.06, 0.8)), (8, change(-0.06, 0.5))]
    [found] = told(RlEatsAccuracy(), fall)
    assert (found.first, found.last, found.severity) == (8, 8, "warning")
    [worse] = told(RlEatsAccuracy(), [*fall, (12, change(-0.3, 0.3)), (16, change(0.1, 0.3)), (20, change(0.1, 0.3))])
    assert (worse.first, worse.severity) == (8, "serious")
    assert worse.last == 16  # the mean of two still lies below
    assert not told(RlEatsAccuracy(), [(s, change(-0.2, 1.2)) for s in range(5)])  # longer
    assert not told(RlEatsAccuracy(), [(0, change(0.0, 1.0)), (4, change(-0.09, 0.9)), (8, change(0.0, 0.8))])  # once


def test_a_measured_run_that_samples_the_likeliest_tokens_alone_eats_accuracy():
    accuracy = [0.771, 0.699, 0.668, 0.695, 0.707, 0.719, 0.729, 0.740, 0.752, 0.740, 0.732]  # arm likeliest, seed 0
    length = [24.9, 19.8, 15.0, 12.4, 11.9, 11.8, 11.7, 11.6, 11.6, 11.6, 11.6]
    course = zip(accuracy, length, strict=True)
    rows = [(120 + 4 * i, change(a - accuracy[0], n / length[0])) for i, (a, n) in enumerate(course)]
    [found] = told(RlEatsAccuracy(), rows)
    assert (found.first, found.last) == (128, 140)
    assert "9 points" in found.sentence


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (StaysLong, [evaluation(5.0, 33.0), evaluation(0.5, 32.0), evaluation(0.4, 33.0), evaluation(0.4, 12.0)]),
        (SftUndertrained, [{"accuracy_slope": 3.0, "stage": 0.0}, {"stage": 0.0}, {"stage": 1.0}, {"stage": 1.0}]),
        (RlEatsAccuracy, [change(-0.1, 0.9), change(-0.1, 0.8), change(-0.3, 0.3), change(0.3, 0.3)]),
    ],
)
def test_a_restored_detector_goes_on_as_the_saved_one_would(kind, rows):
    steps = list(enumerate(rows))
    for cut in range(1, len(steps)):
        first, second = kind(), kind()
        for step, values in steps[:cut]:
            list(first.update(step, values))
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        for step, values in steps[cut:]:
            assert list(first.update(step, values)) == list(second.update(step, values))
        assert list(first.finish(9)) == list(second.finish(9))


def test_recorded_sft_stays_long_to_its_end_and_the_second_stage_ends_that():
    recorded = np.load(JOURNAL)
    found = {}
    for arm in ("sft_10", "two_stage"):
        names = [n for n in recorded.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        columns = {n.split(".", 1)[1]: (recorded[f"{n}.steps"], recorded[n]) for n in names}
        found[arm] = {f.id: f for f in scan(columns, load(card("reinforcement/two_stage")))}
    long = found["sft_10"]["stays_long"]
    assert long.last is None or long.last >= 119
    assert found["two_stage"]["stays_long"].last < 159
    for arm in found.values():
        assert not {"rl_eats_accuracy", "sft_undertrained"} & set(arm)
