"""The whole experiment: growth by each rule, the stages, the knobs, the detectors, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.cards.errors import InvalidValue
from workbench.methods.experts.upscale import claims
from workbench.methods.experts.upscale.detect import ExpertsIdentical, GrowthJump, StuckSymmetry
from workbench.runs import Store, compose, launch

EXPERIMENT = "experts/upscale"
TWO_LAYERS = {"layers": 2, "grown_layers": 4}  # with one there is no next layer to take neurons from


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a finished smoke run."""
    store = Store(tmp_path_factory.mktemp("upscale") / "store")

    def run(arm, **overrides):
        made = launch(EXPERIMENT, arm=arm, preset="smoke", store=store, overrides={"tracking": "off", **overrides})
        assert made.wait(240) == "finished", made.message
        return made

    return run


@pytest.fixture(scope="module")
def exact(start):
    return start("exact", **{"run.checkpoint_every": 5})


def last(run, name):
    return run.reader.scalars(name).values[-1]


def test_with_fpi_and_layers_that_add_nothing_neither_border_changes_the_loss(exact):
    assert abs(last(exact, "growth_jump")) < 1e-6
    assert abs(last(exact, "experts_jump")) < 1e-6
    assert last(exact, "recovery_steps") == 2  # the first look behind growth
    assert exact.reader.scalars("growth_jump").steps.tolist() == [4]
    assert exact.reader.scalars("experts_jump").steps.tolist() == [8]


def test_copies_stay_copies_under_fpi_and_part_under_aki(exact, start):
    tied = exact.reader.scalars("symmetry").values
    np.testing.assert_allclose(tied, 1, atol=1e-5)
    aki = start("aki", **TWO_LAYERS)
    cosine = aki.reader.arrays("copy_cosine").values[0]
    assert np.abs(cosine[:2]).max() < 0.9  # from the next layer
    np.testing.assert_allclose(cosine[2:], 1, atol=1e-5)  # the last one has none
    assert abs(last(aki, "growth_jump")) > 1e-4


def test_each_stage_costs_more_than_the_one_before_and_what_is_spent_adds_up(exact):
    spent = np.diff(exact.reader.scalars("flops").values)
    assert exact.reader.scalars("stage").values.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert spent[0] < spent[4] < spent[8]
    assert len({*spent[:4]}) == len({*spent[4:8]}) == 1


def test_forks_in_any_stage_come_to_the_same(exact):
    for step in (2, 6, 10):
        child = exact.fork(step)
        assert child.wait(240) == "finished", child.message
        compared = exact.identical_to(child)
        assert compared, str(compared)


def test_growth_may_be_moved_while_it_lies_ahead(exact):
    late = exact.fork(2, grow_at=6)
    assert late.wait(240) == "finished", late.message
    assert late.reader.scalars("growth_jump").steps.tolist() == [6]
    behind = exact.fork(5, grow_at=7)
    assert behind.wait(240) == "finished", behind.message
    assert behind.reader.scalars("stage").values[-3:].tolist() == [2] * 3
    assert 1 in behind.reader.scalars("stage").values


def test_the_rate_after_growth_is_multiplied(exact):
    fast = exact.fork(2, lr_after=3.0)
    assert fast.wait(240) == "finished", fast.message
    rates = {r: dict(zip(*_rates(r), strict=True)) for r in (exact, fast)}
    assert rates[fast][3] == rates[exact][3]
    assert rates[fast][6] == pytest.approx(3 * rates[exact][6])


def _rates(run):
    series = run.reader.scalars("lr")
    return series.steps.tolist(), series.values.tolist()


def test_noise_parts_the_experts_at_once(exact, start):
    assert exact.reader.scalars("mean_expert_similarity").values[0] > 0.999
    noisy = start("exact", expert_noise=0.1)
    assert noisy.reader.scalars("mean_expert_similarity").values[0] < 0.998


def test_from_scratch_there_is_nothing_to_grow(start):
    run = start("scratch")
    assert not {"growth_jump", "symmetry", "border_ce"} & set(run.reader.names())
    assert run.reader.scalars("mean_expert_similarity").values[0] < 0.5


def findings(detector, rows):
    found = [f for step, row in enumerate(rows) for f in detector.update(step, row)]
    return [*found, *detector.finish(len(rows) - 1)]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"width_rule": "fpi", "width_factor": 1.5}, "factor of 1.5"),
        ({"width_rule": "random"}, "fresh weights"),
        ({"width_rule": "aki", "depth_rule": "interpolate"}, "act at once"),
    ],
)
def test_a_jump_is_a_finding_with_its_reason(known, words):
    assert not findings(GrowthJump(), [{**known, "growth_jump": 0.04}])
    [found] = findings(GrowthJump(), [{**known, "growth_jump": 0.06}])
    assert words in found.sentence


@pytest.mark.parametrize(
    ("detector", "signal", "stuck", "free"),
    [(StuckSymmetry, "symmetry", 0.995, 0.9), (ExpertsIdentical, "mean_expert_similarity", 0.999, 0.99)],
)
def test_copies_that_stay_alike_are_found_when_it_lasts(detector, signal, stuck, free):
    assert findings(detector(), [{signal: stuck}] * 200)
    assert not findings(detector(), [{signal: stuck}] * 90 + [{signal: free}] * 110)


class Series:
    """Values at their steps."""

    def __init__(self, values, steps=None):
        self.values = np.array(values, float)
        self.steps = np.arange(len(values)) if steps is None else np.array(steps)


def test_what_a_target_costs_is_read_where_it_is_first_reached():
    scratch = {"valid_ce": Series([5, 3, 2], [0, 5, 9]), "flops": Series(range(0, 100, 10)), "ce": Series([0] * 10)}
    quick = {"valid_ce": Series([5, 2, 1], [0, 4, 9]), "flops": Series(range(10)), "ce": Series([0] * 10)}
    never = {**quick, "valid_ce": Series([5, 4, 3], [0, 4, 9])}
    assert claims.bytes_to_target([quick, scratch]) == pytest.approx(4 - 0.7 * 9)
    assert claims.bytes_to_target([never, scratch]) == pytest.approx(9 - 0.7 * 9)
    assert claims.operations_to_target([quick, scratch]) == pytest.approx(4 / 90 - 0.7)
    assert claims.rules_to_target([quick, never, scratch]) == 4 - 9


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"width_factor": 0.5}, "width_factor must lie between 1 and 4"),
        ({"heads": 1, "width_factor": 1.5}, "whole heads of 1; got 1.5"),
        ({"grown_layers": 3}, "grown_layers must be a multiple of layers"),
        ({"grow_at": 700}, "grow_at < experts_at < steps"),
        ({"steps": 500}, "grow_at < experts_at < steps"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(overrides, words):
    with pytest.raises(InvalidValue, match=words):
        compose(EXPERIMENT, overrides=overrides)
