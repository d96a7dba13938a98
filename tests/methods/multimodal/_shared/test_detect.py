"""Detectors: they fire on what they are named after, name the right modality, and go on from their state."""

from __future__ import annotations

import json

from workbench.methods.multimodal._shared.detect import HeadOverload, ModalityDominance, VarianceMismatch


def told(detector, rows, first: int = 0):
    """Episodes, each as it was told last."""
    found = [f for step, values in enumerate(rows, first) for f in detector.update(step, values)]
    return list({f.key: f for f in found}.values())


def ahead(ratio: float, underuse_a: float, underuse_v: float, steps: int = 120):
    return [{"rho": ratio, "underuse_a": underuse_a, "underuse_v": underuse_v}] * steps


def test_a_modality_dominates_if_it_is_ahead_for_long_and_the_other_sleeps():
    [found] = told(ModalityDominance(), ahead(4.0, 0.0, 40.0))
    assert found.first == 0
    assert "Modality a is ahead 4.0 to 1, and v stays 40 points below" in found.sentence
    [other] = told(ModalityDominance(), ahead(0.25, 40.0, 0.0))
    assert "Modality v is ahead 4.0 to 1, and a stays 40 points below" in other.sentence
    for rows in (ahead(1.9, 0, 40), ahead(4, 0, 9), ahead(4, 40, 0), ahead(4, 0, 40, steps=49)):
        assert not told(ModalityDominance(), rows)


def test_a_mismatch_of_dependence_and_variances_is_information():
    looks = [{"arl_mismatch": -1.0}] * 10
    [found] = told(VarianceMismatch(), looks)
    assert found.severity == "info"
    assert "2.7 times less than its variance asks for" in found.sentence
    assert not told(VarianceMismatch(), looks[:9])
    assert not told(VarianceMismatch(), [{"arl_mismatch": 0.69}] * 50)


def losses(fused: list[float], gamma: float):
    return [{"loss_fused": x, "loss_a": 1.0, "loss_v": 1.0, "loss_weights": [1.0, gamma, gamma]} for x in fused]


def test_the_head_is_overloaded_if_the_fused_loss_rises_while_read_outs_are_most_of_the_loss():
    rising = [0.3] * 40 + [1.0] * 60
    [found] = told(HeadOverload(), losses(rising, gamma=8.0))
    assert 40 <= found.first < 50
    assert "rose from 0.30 to" in found.sentence
    assert not told(HeadOverload(), losses(rising, gamma=0.3))  # the fused loss is most of it
    assert not told(HeadOverload(), losses([0.3] * 100, gamma=8.0))
    assert not told(HeadOverload(), losses([0.001] * 40 + [0.05] * 60, gamma=8.0))  # near 0 a rise is nothing


def test_a_restored_detector_finds_what_the_first_would_have_found():
    rows = losses([0.3] * 40 + [1.0] * 60, gamma=8.0)
    first, second = HeadOverload(), HeadOverload()
    assert not told(first, rows[:50])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    [found], [same] = (told(detector, rows[50:], 50) for detector in (first, second))
    assert found == same
