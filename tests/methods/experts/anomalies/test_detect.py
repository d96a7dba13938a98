"""Narrow and wide spikes, a loss that climbs, an imbalance after a spike; and runs with none of them."""

from __future__ import annotations

import numpy as np

import workbench
from workbench.detectors import scan
from workbench.methods.experts.anomalies.claims import area
from workbench.methods.experts.anomalies.detect import BalanceAfterSpike, Diverged, NarrowSpike, WideSpike

KINDS = (NarrowSpike, WideSpike)


def columns(**values):
    return {n: (np.arange(len(v)), np.asarray(v, float)) for n, v in values.items()}


def spiking(*steps, length=100, **values):
    scores = np.zeros(length)
    scores[list(steps)] = 20.0
    known = {"spike_limit": np.full(length, 6.0), "drawn_for": np.arange(length), "guard_skipped": np.zeros(length)}
    return columns(guard_z=scores, **{**known, **values})


def found(data):
    return list(scan(data, [kind() for kind in KINDS]))


def test_up_to_three_steps_a_spike_is_narrow_and_from_four_on_wide():
    (narrow,) = found(spiking(40, 41, 42))
    assert (narrow.id, narrow.first, narrow.last) == ("narrow_spike", 40, 42)
    (wide,) = found(spiking(40, 41, 42, 43))
    assert (wide.id, wide.first, wide.last) == ("wide_spike", 40, 43)
    assert wide.evidence["batch"] == 40
    assert wide.evidence["width"] == 4
    assert found(spiking()) == []


def test_a_spike_says_whether_its_updates_were_skipped():
    skipped = np.zeros(100)
    skipped[40] = 1
    (one,) = found(spiking(40, guard_skipped=skipped))
    assert "1 of its updates" in one.sentence
    assert "every update was made" in found(spiking(40))[0].sentence


def test_the_limit_is_the_knobs():
    assert found(spiking(40, spike_limit=np.full(100, 30.0))) == []


def test_a_loss_half_a_nat_above_that_of_200_steps_ago_for_50_steps_climbs():
    level = np.r_[np.full(250, 2.0), np.full(120, 2.6)]
    (one,) = scan(columns(text_ce=level), [Diverged()])
    assert one.first == 250
    assert list(scan(columns(text_ce=np.r_[np.full(250, 2.0), np.full(120, 2.4)]), [Diverged()])) == []
    assert list(scan(columns(text_ce=np.r_[np.full(250, 2.0), np.full(40, 2.6), np.full(80, 2.0)]), [Diverged()])) == []


def test_an_imbalance_that_follows_a_spike_is_told_and_one_without_a_spike_is_not():
    worst = np.r_[np.full(45, 0.5), np.full(55, 1.2)]
    (one,) = scan(spiking(40, worst_violation=worst), [BalanceAfterSpike()])
    assert (one.first, one.last) == (40, 45)
    assert list(scan(spiking(worst_violation=worst), [BalanceAfterSpike()])) == []
    assert list(scan(spiking(10, worst_violation=worst), [BalanceAfterSpike()])) == []


def test_they_go_on_from_their_states():
    data = spiking(40, 41, 42, 43, worst_violation=np.r_[np.full(45, 0.5), np.full(55, 1.2)])
    data |= columns(text_ce=np.full(100, 2.0))
    for kind in (*KINDS, Diverged, BalanceAfterSpike):
        whole, halves = kind(), kind()
        told: list[list] = [[], []]
        for step in range(100):
            values = {n: v[step] for n, (_, v) in data.items() if whole.wants(n)}
            told[0] += whole.update(step, values)
            if step == 42:
                state, halves = halves.state_dict(), kind()
                halves.load_state_dict(state)
            told[1] += halves.update(step, values)
        assert told[0] == told[1]


def test_the_area_counts_what_lies_above_the_median_before():
    with workbench.session(experiment="tests/area", mlflow=False, detectors=()) as session:
        losses = [*[2.0] * 60, 5.0, *[1.0] * 9]
        for step in session.steps(len(losses)):
            workbench.emit("text_ce", losses[step])
    assert area(workbench.run(session.rundir.id)) == 3.0
