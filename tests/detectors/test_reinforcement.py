"""Detectors of a language model's reinforcement learning: on drawn shapes, and on files of other programs."""

import json
from typing import ClassVar

import numpy as np
import pytest

from tests.detectors.series import newest, rollouts, valley, watch
from workbench.detectors import Detectors, generic, load, scan
from workbench.detectors.hockey_stick import HockeyStick

IDS = (
    "length_collapse", "hockey_stick", "false_calm", "entropy_collapse", "starved_groups", "kl_runaway", "value_lag",
)  # fmt: skip


def noisy(values, scale, seed=0):
    return values + scale * np.random.default_rng(seed).standard_normal(len(values))


def falling_length(to, within=20, n=60):
    return noisy(np.interp(np.arange(n), [0, within], [25, to]), 0.2)


@pytest.mark.parametrize("detector", IDS)
@pytest.mark.parametrize("seed", range(8))
def test_a_healthy_run_raises_nothing(detector, seed):
    assert watch(detector, rollouts(seed=seed)) == []


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_noise_about_a_flat_or_rising_reward_is_no_drop(noise, seed):
    n = 200
    assert watch("hockey_stick", {"reward": noisy(np.linspace(0.45, 0.55, n), noise, seed)}) == []


def test_a_run_without_their_signals_is_not_wanted():
    mine = [d for d in load() if d.id in IDS]
    assert len(mine) == len(IDS)
    assert not any(d.wants(name) for d in mine for name in ("loss", "val_loss", "accuracy", "expert_load", "lr"))


# -- length ----------------------------------------------------------------------------------------------------------


def test_a_length_that_falls_below_six_tenths_is_a_collapse():
    (finding,) = newest(watch("length_collapse", {"length": falling_length(10.9)}))
    assert finding.severity == "serious"
    assert finding.evidence["ratio"] == pytest.approx(0.43, abs=0.02)
    assert finding.evidence["start"] == pytest.approx(25, abs=0.7)
    assert 8 < finding.first < 20
    assert finding.last == 59
    assert finding.signals == ("length",)


def test_at_three_quarters_it_warns_and_then_says_that_it_collapsed():
    told = watch("length_collapse", {"length": falling_length(10.9)})
    assert [f.severity for f in told[:2]] == ["warning", "serious"]
    assert told[0].key == told[1].key


def test_a_length_of_seven_tenths_stays_a_warning_and_of_85_hundredths_is_none():
    (finding,) = newest(watch("length_collapse", {"length": falling_length(17)}))
    assert finding.severity == "warning"
    assert watch("length_collapse", {"length": falling_length(21.3)}) == []


def test_a_length_that_comes_back_closes_the_finding():
    (finding,) = newest(watch("length_collapse", {"length": valley(60, 25, 12, 30, 20)}))
    assert 20 < finding.last < 40


def test_a_slow_fall_after_sixty_values_is_none():
    assert watch("length_collapse", {"length": np.concatenate([np.full(70, 25.0), np.full(60, 8.0)])}) == []


def test_lengths_of_reasoning_are_preferred_and_the_evaluation_is_the_start():
    both = {"length": falling_length(10.9), "length_reasoning": np.full(60, 24.0), "eval_length": np.full(60, 24.5)}
    assert watch("length_collapse", both) == []
    told = watch("length_collapse", {**both, "length_reasoning": falling_length(10.9)})
    assert told[-1].evidence["start"] == 24.5
    assert told[-1].signals == ("length_reasoning",)


def test_an_evaluation_of_something_else_is_not_taken_for_the_start():
    told = watch("length_collapse", {"length": falling_length(22), "eval_length": np.full(60, 60.0)})
    assert told == []


def test_learning_to_stop_is_told_apart_from_a_collapse():
    cut = {"length": falling_length(10.9), "truncated": valley(60, 0.7, 0.0, 0.0, 20)}
    (finding,) = newest(watch("length_collapse", cut))
    assert finding.severity == "warning"
    assert "70% of the first ones were cut off" in finding.sentence


# -- reward ----------------------------------------------------------------------------------------------------------


def test_a_drawn_v_is_told_as_drop_turn_and_recovery():
    told = watch("hockey_stick", {"reward": valley(41, 0.58, 0.2, 0.6, 15)})
    assert told[0].evidence["phase"] == "drop"
    (finding,) = newest(told)
    assert finding.evidence["phase"] == "recovered"
    assert finding.severity == "warning"
    assert finding.evidence["start"] == pytest.approx(0.567, abs=1e-3)
    assert finding.evidence["min"] == pytest.approx(0.22, abs=0.02)
    assert 15 <= finding.evidence["min_step"] <= 18
    assert finding.first < 15 < finding.last < 35
    assert "was back at" in finding.sentence


def test_until_it_recovers_it_is_a_collapse_so_far():
    reward = valley(41, 0.58, 0.2, 0.6, 15)[:18]
    detectors = Detectors([generic()["hockey_stick"]()])
    told = detectors.update_block(np.arange(18), {"reward": reward})
    assert "a collapse so far" in told[-1].sentence
    assert told[-1].last is None
    (ended,) = detectors.finish(17)
    assert ended.severity == "serious"
    assert ended.sentence.endswith("a collapse.")


def test_a_dip_of_less_than_a_tenth_is_none():
    assert watch("hockey_stick", {"reward": valley(41, 0.58, 0.50, 0.7, 15)}) == []


def test_the_evaluation_before_training_is_the_start():
    columns = {"reward": valley(41, 0.55, 0.2, 0.6, 15), "eval_reward": np.full(41, 0.61)}
    assert watch("hockey_stick", columns)[-1].evidence["start"] == 0.61


@pytest.mark.parametrize(("scale", "shift"), [(100.0, 0.0), (5.0, 0.0), (4.0, -3.0), (0.5, -1.0)])
def test_rewards_outside_zero_to_one_are_measured_by_what_they_span(scale, shift):
    (finding,) = newest(watch("hockey_stick", {"reward": shift + scale * valley(41, 0.58, 0.1, 0.7, 15)}))
    assert finding.evidence["phase"] == "recovered"
    flat = shift + scale * noisy(np.full(60, 0.58), 0.02)
    assert watch("hockey_stick", {"reward": flat}) == []


def test_a_reward_that_swings_for_ever_is_told_a_few_times():
    reward = 0.5 + 0.3 * np.sin(np.arange(5000) / 15)
    assert len(newest(watch("hockey_stick", {"reward": reward}))) < 6


# -- entropy ---------------------------------------------------------------------------------------------------------


def test_a_policy_that_is_certain_from_the_start_shows_false_calm():
    (finding,) = watch("false_calm", {"entropy": np.full(30, 0.04), "reward": np.full(30, 0.9)})
    assert (finding.first, finding.last) == (0, 1)
    assert "0.04 nats a token" in finding.sentence


def test_an_entropy_that_falls_to_a_tenth_is_a_collapse():
    entropy = 0.4 * np.exp(-np.arange(60) / 12)
    (finding,) = newest(watch("entropy_collapse", {"entropy": entropy, "reward": np.full(60, 0.5)}))
    assert 20 < finding.first < 40
    assert finding.severity == "serious"


def test_a_policy_that_was_very_uncertain_may_calm_down_to_an_ordinary_entropy():
    entropy = 0.2 + 2.8 * np.exp(-np.arange(60) / 8)
    assert watch("entropy_collapse", {"entropy": entropy, "reward": np.full(60, 0.5)}) == []


@pytest.mark.parametrize("detector", ["false_calm", "entropy_collapse"])
def test_an_entropy_in_a_run_without_rewards_is_something_else(detector):
    entropy = 0.4 * np.exp(-np.arange(60) / 8)
    assert watch(detector, {"entropy": entropy if detector == "entropy_collapse" else entropy / 10}) == []


# -- the rest --------------------------------------------------------------------------------------------------------


def test_groups_that_all_agree_starve_the_step():
    share = np.concatenate([np.full(30, 0.3), np.full(40, 0.9), np.full(40, 0.2)])
    (finding,) = newest(watch("starved_groups", {"group_zero_std": share}))
    assert 30 < finding.first < 45
    assert 60 < finding.last < 80
    assert finding.evidence["share"] < 0.3


def test_a_kl_of_eight_to_27_nats_that_rises_is_a_runaway_and_one_of_three_to_ten_is_not():
    x = np.linspace(0, 1, 40)
    (finding,) = newest(watch("kl_runaway", {"kl_sequence": noisy(27 * x, 0.3)}))
    assert finding.evidence["kl"] > 10
    assert watch("kl_runaway", {"kl_sequence": noisy(9.5 * x, 0.3)}) == []


def test_a_kl_that_its_penalty_holds_is_no_runaway():
    (finding,) = newest(watch("kl_runaway", {"kl_sequence": np.concatenate([np.linspace(0, 20, 30), np.full(80, 20)])}))
    assert finding.last < 50


def test_a_kl_that_leaps_is_told_before_it_is_large():
    kl = np.concatenate([np.full(25, 1.2), np.linspace(1.2, 9, 8), np.full(20, 9.0)])
    (finding,) = newest(watch("kl_runaway", {"kl_sequence": kl}))
    assert finding.evidence["kl"] < 10


def test_of_long_responses_each_token_may_spend_a_tenth_of_a_nat():
    x = np.linspace(0, 1, 60)
    assert watch("kl_runaway", {"kl": 0.05 * x, "completions/mean_length": np.full(60, 800.0)}) == []
    assert watch("kl_runaway", {"kl": 0.4 * x, "completions/mean_length": np.full(60, 800.0)}) != []


def test_a_critic_worse_than_a_constant_is_told():
    (finding,) = newest(watch("value_lag", {"value_mse": np.full(20, 0.5), "return_var": np.full(20, 0.2)}))
    assert finding.first == 0
    assert finding.severity == "serious"
    assert "2.5 times the variance" in finding.sentence
    assert watch("value_lag", {"value_mse": np.full(20, 0.5), "return_var": np.zeros(20)}) == []
    assert watch("value_lag", {"critic/vf_explained_var": np.full(20, -0.3)}) != []


# -- streams and files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detector", IDS)
def test_a_state_saved_at_any_step_goes_on_to_the_same_findings(detector):
    n = 60
    columns = {
        "reward": valley(n, 0.6, 0.2, 0.7, 15), "length": falling_length(10), "kl_sequence": np.linspace(0, 40, n),
        "entropy": 0.4 * np.exp(-np.arange(n) / 12) if detector == "entropy_collapse" else np.full(n, 0.03),
        "group_zero_std": np.full(n, 0.9), "value_mse": np.full(n, 0.5), "return_var": np.full(n, 0.2),
    }  # fmt: skip
    whole = watch(detector, columns)
    assert whole
    for cut in range(1, n):
        told, state = [], None
        for part in (slice(0, cut), slice(cut, n)):
            watcher = Detectors([generic()[detector]()])
            if state is not None:
                watcher.load_state_dict(json.loads(state))
            told += watcher.update_block(np.arange(n)[part], {k: v[part] for k, v in columns.items()})
            state = json.dumps(watcher.state_dict(), allow_nan=False)
        assert told + watcher.finish(n - 1) == whole


TRL = {
    "reward": valley(60, 0.58, 0.2, 0.6, 15), "completions/mean_length": falling_length(10.9),
    "entropy": 0.4 * np.exp(-np.arange(60) / 12), "kl": np.linspace(0, 1.5, 60),
    "frac_reward_zero_std": np.full(60, 0.9), "completions/clipped_ratio": np.full(60, 0.02),
}  # fmt: skip
VERL = {
    "critic/score/mean": TRL["reward"], "response_length/mean": TRL["completions/mean_length"],
    "actor/entropy": TRL["entropy"], "actor/kl_loss": TRL["kl"], "critic/vf_explained_var": np.full(60, -0.5),
}  # fmt: skip
COMMON = {"hockey_stick", "length_collapse", "entropy_collapse", "kl_runaway"}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (TRL, COMMON | {"starved_groups"}),
        ({f"train/{name}": values for name, values in TRL.items()}, COMMON | {"starved_groups"}),
        (VERL, COMMON | {"value_lag"}),
        (
            {"reward": TRL["reward"], "response_length": TRL["completions/mean_length"]},
            COMMON - {"entropy_collapse", "kl_runaway"},
        ),
        ({"objective/scores": TRL["reward"], "objective/rlhf_reward": np.full(60, 0.5)}, {"hockey_stick"}),
    ],
    ids=["trl", "trl by wandb", "verl", "openrlhf", "trl's ppo"],
)
def test_a_csv_of_another_program_is_read_under_its_own_names(tmp_path, columns, found):
    path = tmp_path / "log.csv"
    lines = [",".join(["step", *columns, "loss"])]
    lines += [f"{10 * i}," + ",".join(f"{v[i]:.6f}" for v in columns.values()) + ",0.0" for i in range(60)]
    path.write_text("\n".join(lines) + "\n")
    findings = scan(path)
    assert {f.id for f in findings} == found
    assert all(name in columns for f in findings for name in f.signals)


def test_names_of_ones_own_are_added_in_a_subclass():
    class Mine(HockeyStick):
        also: ClassVar = {"reward": ("my return",)}

    told = list(Mine().update_block(np.arange(41), {"my return": valley(41, 0.58, 0.2, 0.6, 15)}))
    assert told[-1].signals == ("my return",)
    assert Mine().wants("reward")
    assert not HockeyStick().wants("my return")
