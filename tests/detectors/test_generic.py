"""Each generic detector fires on a series built to have its phenomenon, says where, and is silent on a healthy one."""

import numpy as np
import pytest

from tests.detectors.series import decay, newest, watch
from workbench.detectors import generic


def test_the_generic_detectors_are_found_by_walking_the_package():
    assert set(generic()) == {
        "class_spread", "dead_units", "divergence", "entropy_collapse", "false_calm", "hockey_stick", "kl_runaway",
        "length_collapse", "non_finite", "plateau", "spike", "starved_groups", "update_ratio", "value_lag",
    }  # fmt: skip


def test_every_generic_detector_says_what_to_try():
    assert all(cls.remedy and cls.title and cls.needs for cls in generic().values())


@pytest.mark.parametrize("detector", ["non_finite", "spike", "divergence", "plateau"])
@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_loss_raises_nothing(detector, seed):
    # Still falling at its end: a decay that has arrived would rightly be a plateau.
    loss = 0.05 * np.random.default_rng(seed).standard_normal(3000) + np.linspace(3, 0.5, 3000)
    assert watch(detector, {"loss": loss}) == []


def test_nan_is_located_in_signal_and_step():
    loss = decay()
    loss[700:] = np.nan
    told = watch("non_finite", {"accuracy": decay(), "loss": loss})
    assert told[0].first == 700
    assert told[0].last is None
    assert told[0].signals == ("loss",)
    assert told[0].sentence == "loss became NaN at step 700."
    (last,) = newest(told)
    assert last.last == 1999
    assert last.evidence["count"] == 1300
    assert last.severity == "serious"
    assert len(told) < 12  # told again only when twice as long


def test_infinity_in_a_vector_names_its_components():
    width = np.ones((50, 6))
    width[20, [2, 4]] = np.inf
    (finding,) = newest(watch("non_finite", {"bound_width": width}))
    assert finding.sentence.startswith("bound_width became infinite at step 20, in 2 of 6 components (2, 4)")
    assert finding.first == finding.last == 20


def test_a_value_that_is_undefined_now_and_then_becomes_one_long_finding():
    values = np.ones(20_000)
    values[::30] = np.nan
    findings = newest(watch("non_finite", {"class_accuracy": values}))
    assert len(findings) <= 2
    assert sum(f.evidence["count"] for f in findings) == np.isnan(values).sum()


def test_spike_gives_height_step_and_closes():
    loss = decay()
    loss[1200:1203] = [4.0, 9.0, 3.0]
    (finding,) = newest(watch("spike", {"loss": loss}))
    assert (finding.first, finding.last) == (1200, 1202)
    assert "jumped to 9 at step 1201" in finding.sentence
    assert finding.evidence["count"] == 3


def test_a_spike_that_is_going_on_is_told_at_once():
    loss = decay(1000)
    loss[-1] = 50.0
    from workbench.detectors import Detectors

    watcher = Detectors([generic()["spike"]()])
    (finding,) = watcher.update_block(np.arange(1000), {"loss": loss})
    assert finding.first == 999
    assert finding.last is None


def test_a_constant_loss_and_a_zero_loss_have_no_spikes():
    assert watch("spike", {"loss": np.ones(500), "aux_loss": np.zeros(500)}) == []


def test_plateau_names_the_last_improvement():
    told = watch("plateau", {"loss": np.concatenate([np.linspace(3, 1, 1000), np.full(3000, 1.0)])})
    (finding,) = newest(told)
    assert finding.severity == "info"
    assert 900 <= finding.evidence["best_step"] <= 1100
    assert finding.first >= 1500


def test_plateau_is_over_when_the_loss_falls_again():
    series = np.concatenate([np.linspace(3, 1, 1000), np.full(1500, 1.0), np.linspace(1, 0.2, 1000)])
    finding = newest(watch("plateau", {"loss": series}))[0]
    assert finding.last is not None
    assert finding.last < 2700


def test_divergence_says_from_where_to_where():
    rng = np.random.default_rng(1)
    series = np.concatenate([np.linspace(2, 0.5, 1000), np.linspace(0.5, 5, 1000)]) + 0.05 * rng.standard_normal(2000)
    (finding,) = newest(watch("divergence", {"loss": series}))
    assert 1000 <= finding.evidence["since"] <= 1400
    assert finding.severity == "serious"
    assert "lowest level 0.5" in finding.sentence


def test_divergence_does_not_take_one_bad_window_for_it():
    series = decay(2000)
    series[1000:1025] = 3.0
    assert watch("divergence", {"loss": series}) == []


def test_dead_experts_are_counted_and_named():
    load = np.full((400, 8), 1 / 8)
    load[100:, [3, 5]] = 0
    told = watch("dead_units", {"expert_load": load})
    (finding,) = newest(told)
    assert finding.first == 149  # 50 values in a row
    assert finding.evidence["components"] == ["3", "5"]
    assert "2 of 8 components of expert_load (3, 5)" in finding.sentence


def test_a_unit_that_is_quiet_for_a_moment_is_not_dead():
    load = np.full((400, 8), 1 / 8)
    load[100:140, 3] = 0
    assert watch("dead_units", {"expert_load": load}) == []


@pytest.mark.parametrize(("value", "word"), [(1e-7, "little"), (0.5, "much")])
def test_update_ratio_says_on_which_side(value, word):
    ratios = np.full(200, 1e-3)
    ratios[80:180] = value
    (finding,) = newest(watch("update_ratio", {"update_ratio": ratios}))
    assert (finding.first, finding.last) == (129, 179)
    assert f"too {word}" in finding.sentence


def test_findings_of_a_long_run_grow_with_its_logarithm():
    rng = np.random.default_rng(3)
    loss = np.abs(rng.standard_cauchy(100_000))  # every second batch an outlier
    assert 0 < len(newest(watch("spike", {"loss": loss}))) < 20
    assert len(watch("spike", {"loss": loss})) < 200
