"""Findings depend on the stream alone: not on how it is cut into blocks, nor on a save and restore in between."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detectors.series import troubled, watch
from workbench.detectors import Detectors, generic

SIGNALS = {
    "non_finite": "loss", "spike": "loss", "plateau": "loss", "divergence": "loss", "dead_units": "expert_load",
    "update_ratio": "update_ratio",
}  # fmt: skip
CLASSES = ("acc_many", "acc_few")
REINFORCEMENT = sorted(set(generic()) - set(SIGNALS) - {"class_spread"})


def stream(detector, seed):
    """A stream with trouble of every kind in it."""
    rng = np.random.default_rng(seed)
    n = 900
    steps = np.cumsum(rng.integers(1, 4, n))
    if detector in REINFORCEMENT:
        return steps, troubled(rng, n, calm=detector == "false_calm")
    if detector == "class_spread":
        many, few = 90 + 5 * rng.random(n), 45 + 45 * np.sin(np.arange(n) / 60) + 5 * rng.random(n)
        few[rng.random(n) < 0.02] = np.nan
        return steps, dict(zip(CLASSES, (many, few), strict=True))
    if detector == "dead_units":
        values = rng.random((n, 4))
        values[300:500, 1] = values[380:420, 2] = values[800:, :2] = 0
    elif detector == "update_ratio":
        values = 10.0 ** rng.uniform(-6, -2, (n, 3))
        values[100:400, rng.integers(3)] = 1e-8
        values[600:, 1] = 3.0
    else:
        values = 0.3 + np.exp(-np.arange(n) / 100) + 0.05 * rng.standard_normal(n)
        values[rng.random(n) < 0.02] *= 20
        values[rng.random(n) < 0.01] = np.nan
        values[500:600] = np.inf if seed % 2 else 0.4
        values[700:] += np.linspace(0, 5, 200)
    return steps, {SIGNALS[detector]: values}


@pytest.mark.parametrize("detector", sorted(generic()))
@settings(max_examples=25)
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(1, 899), max_size=40, unique=True))
def test_any_partition_of_a_stream_gives_the_same_findings(detector, seed, cuts):
    steps, columns = stream(detector, seed)
    whole = watch(detector, columns, steps)
    assert watch(detector, columns, steps, cuts) == whole
    assert whole or detector == "plateau"


@pytest.mark.parametrize("detector", sorted(generic()))
def test_one_value_at_a_time_gives_the_same_findings(detector):
    steps, columns = stream(detector, 1)
    assert watch(detector, columns, steps, range(1, 900)) == watch(detector, columns, steps)


@pytest.mark.parametrize("detector", sorted(generic()))
@settings(max_examples=15)
@given(cut=st.integers(1, 899), seed=st.integers(0, 50))
def test_state_saved_as_json_goes_on_as_if_nothing_had_happened(detector, cut, seed):
    steps, columns = stream(detector, seed)
    whole = watch(detector, columns, steps)
    first = Detectors([generic()[detector]()])
    told = list(first.update_block(steps[:cut], {k: v[:cut] for k, v in columns.items()}))
    saved = json.dumps(first.state_dict(), allow_nan=False)
    second = Detectors([generic()[detector]()])
    second.load_state_dict(json.loads(saved))
    told += second.update_block(steps[cut:], {k: v[cut:] for k, v in columns.items()})
    told += second.finish(int(steps[-1]))
    assert told == whole


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=300),
    detector=st.sampled_from(["non_finite", "spike", "plateau", "divergence", "class_spread", *REINFORCEMENT]),
)
def test_no_number_is_too_strange(values, detector):
    names = troubled(np.random.default_rng(0), 2) if detector in REINFORCEMENT else ("loss", *CLASSES)
    told = watch(detector, dict.fromkeys(names, np.array(values)))
    assert "detector_failed" not in {finding.id for finding in told}
    json.dumps([finding.to_json() for finding in told], allow_nan=False)
