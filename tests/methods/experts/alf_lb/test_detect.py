"""Biases that never catch up, biases that overshoot, and ones that do neither."""

from __future__ import annotations

import numpy as np

from workbench.detectors import scan
from workbench.methods.experts.alf_lb.detect import BiasChatter, BiasWindup


def columns(**values):
    return {n: (np.arange(len(v)), np.asarray(v, float)) for n, v in values.items()}


def test_a_bias_that_grows_while_loads_stay_uneven_is_winding_up():
    width = np.arange(1, 151) * 1e-5
    (found,) = scan(columns(widest_bias=width, worst_violation=np.full(150, 2.0)), [BiasWindup()])
    assert (found.first, found.last) == (0, 149)
    assert "3.0 times an even share" in found.sentence


def test_a_bias_that_balances_or_stands_still_is_not():
    width = np.arange(1, 151) * 1e-3
    falling = np.linspace(2, 0.1, 150)
    assert falling[102] < 0.7 < falling[98]
    assert not list(scan(columns(widest_bias=width[5:], worst_violation=falling[5:]), [BiasWindup()]))
    assert not list(scan(columns(widest_bias=np.full(150, 0.1), worst_violation=np.full(150, 2.0)), [BiasWindup()]))


def test_loads_that_swing_by_much_at_every_step_are_chatter():
    (found,) = scan(columns(chatter=np.full(60, 0.8), worst_violation=np.full(60, 2.5)), [BiasChatter()])
    assert found.remedy.startswith("Lower u")
    assert not list(scan(columns(chatter=np.full(60, 0.4), worst_violation=np.full(60, 2.5)), [BiasChatter()]))
    assert not list(scan(columns(chatter=np.full(60, 0.8), worst_violation=np.full(60, 0.1)), [BiasChatter()]))


def test_a_detector_goes_on_from_its_state():
    half, whole = BiasWindup(), BiasWindup()
    for step in range(120):
        values = {"widest_bias": step * 1e-5 + 1e-5, "worst_violation": 2.0}
        list(whole.update(step, values))
        if step == 60:
            again = BiasWindup()
            again.load_state_dict(half.state_dict())
            half = again
        list(half.update(step, values))
    assert half.state_dict() == whole.state_dict()
    assert half.streak.length == 120
