"""The detectors fire on the arms that collapse and keep silent on those that train, over recorded runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.cards.findings import Finding
from workbench.detectors import load, scan

RECORDED = np.load(Path(__file__).parents[3] / "golden" / "certified_recorded.npz")
CARD = workbench.card("certified/ibp")
RUNS = sorted({name.split(".")[0] for name in RECORDED.files} - {"steps"})
ALL = ("exploded_bounds", "relu_imbalance", "all_unstable", "certified_collapse", "ramp_too_fast")


def columns(run: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    series = {n.split(".")[1]: RECORDED[n] for n in RECORDED.files if n.startswith(f"{run}.")}
    series["relu_unstable"] = 1 - series["relu_active"] - series["relu_inactive"]
    probe = RECORDED["steps.probe"]
    return {n: (np.arange(len(v)) if len(v) != len(probe) else probe, v) for n, v in series.items()}


def findings(run: str) -> dict[str, Finding]:
    return {f.id: f for f in scan(columns(run), load(CARD)) if f.id in ALL}


EXPECTED = {
    "vanilla": {"exploded_bounds", "relu_imbalance", "certified_collapse"},
    "vanilla_bn": {"exploded_bounds", "all_unstable", "certified_collapse", "ramp_too_fast"},
    "fast_no_init": {"exploded_bounds", "all_unstable", "certified_collapse", "ramp_too_fast"},
    "fast_no_bn": {"exploded_bounds", "certified_collapse"},
    "fast": set(),
    "fast_no_reg": set(),
    "vanilla_bn_ramp_20": set(),
}


@pytest.mark.parametrize("run", RUNS)
def test_detectors_fire_on_what_collapses_and_are_silent_on_what_trains(run: str) -> None:
    found = findings(run)
    assert set(found) == EXPECTED[run]
    for finding in found.values():
        assert finding.remedy
        assert finding.sentence.endswith(".")


def test_an_explosion_without_batch_norm_is_seen_in_the_width_over_the_signal_not_in_the_gain() -> None:
    exploded = findings("vanilla")["exploded_bounds"]
    assert exploded.evidence["gain"] < 10
    assert exploded.evidence["relative_width"] > 50


def test_the_imbalance_names_the_layer() -> None:
    assert "in ReLU 2 99% are provably dead" in findings("vanilla")["relu_imbalance"].sentence


@pytest.mark.parametrize("run", ["vanilla", "vanilla_bn"])
@pytest.mark.parametrize("cut", [7, 60, 150, 260])
def test_a_detector_taken_up_from_its_state_finds_the_same(run: str, cut: int) -> None:
    def feed(detectors: list, low: int, high: int) -> list[Finding]:
        found = []
        for step in range(low, high):
            values = {n: v[np.searchsorted(s, step)] for n, (s, v) in columns_.items() if step in s}
            for detector in detectors:
                mine = {n: v for n, v in values.items() if detector.wants(n)}
                found += list(detector.update(step, mine)) if mine else []
        return found

    columns_ = columns(run)
    whole, first, second = load(CARD), load(CARD), load(CARD)
    want = feed(whole, 0, 300)
    got = feed(first, 0, cut)
    for old, new in zip(first, second, strict=True):
        new.load_state_dict(json.loads(json.dumps(old.state_dict(), allow_nan=False)))
    got += feed(second, cut, 300)
    assert [f.to_json() for f in got] == [f.to_json() for f in want]


def test_infinite_losses_and_widths_are_findings_that_json_can_hold() -> None:
    detectors = load(CARD)
    values = {
        "robust_loss": np.inf, "relu_unstable": np.ones(6), "relu_active": np.zeros(6), "relu_inactive": np.zeros(6),
        "bound_gain": np.full(7, np.inf, np.float32), "relative_width": np.full(6, np.nan, np.float32), "eps": 0.1,
    }  # fmt: skip
    found = [f for k in range(60) for d in detectors if d.id in ALL for f in d.update(k, values)]
    assert {f.id for f in found} == {"exploded_bounds", "all_unstable"}
    for finding in found:
        json.dumps(finding.to_json(), allow_nan=False)
    for detector in detectors:
        json.dumps(detector.state_dict(), allow_nan=False)
