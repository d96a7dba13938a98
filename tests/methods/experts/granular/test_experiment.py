"""The whole experiment: exact at the cut, partners by hand, each knob, the detectors, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.experts._shared import measures
from workbench.methods.experts.granular import claims, coselection
from workbench.methods.experts.granular.detect import FrozenCliques, NoStructure, UpcycleJump
from workbench.runs import Store, compose, launch

EXPERIMENT = "experts/granular"
CUT = 4  # the smoke preset's first step with experts


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a finished smoke run."""
    store = Store(tmp_path_factory.mktemp("granular") / "store")

    def run(arm, **overrides):
        made = launch(EXPERIMENT, arm=arm, preset="smoke", store=store, overrides={"tracking": "off", **overrides})
        assert made.wait(240) == "finished", made.message
        return made

    return run


@pytest.fixture(scope="module")
def grouped(start):
    return start("grouped", **{"run.checkpoint_every": 2})


def test_the_cut_is_exact_with_a_grouped_router_and_not_with_noise(start, grouped):
    jump = grouped.reader.scalars("upcycle_jump")
    assert jump.steps.tolist() == [CUT]
    assert abs(jump.values[0]) < 1e-6
    noisy = start("grouped", break_symmetry=0.01).reader.scalars("upcycle_jump").values[0]
    assert abs(noisy) > 1e-6


def test_at_the_cut_every_byte_goes_to_one_copy_and_later_slices_mix(grouped):
    share = grouped.reader.scalars("mean_one_copy")
    assert share.steps[0] == CUT
    assert share.values[0] == 1
    assert share.values[-1] < 0.5


def test_the_stages_and_the_operations_of_equal_networks_go_on_alike(grouped):
    stage, spent = grouped.reader.scalars("stage").values, np.diff(grouped.reader.scalars("flops").values)
    assert stage.tolist() == [0] * CUT + [1] * 8
    assert len(set(spent[: CUT - 1])) == len(set(spent[CUT:])) == 1
    assert 1 < spent[-1] / spent[0] < 1.2  # the router besides


def test_a_fork_in_the_dense_stage_and_one_among_experts_come_to_the_same(grouped):
    for step in (2, 7):
        child = grouped.fork(step)
        assert child.wait(240) == "finished", child.message
        compared = grouped.identical_to(child)
        assert compared, str(compared)


def test_whole_copies_jump_only_if_they_weigh_less_than_one(start):
    assert abs(start("coarse").reader.scalars("upcycle_jump").values[0]) < 1e-6
    assert abs(start("copies").reader.scalars("upcycle_jump").values[0]) > 1e-6


def test_a_dense_network_that_goes_on_has_no_cut(start):
    run = start("dense")
    assert not {"upcycle_jump", "load"} & set(run.reader.names())


def test_the_routers_rate_multiplies_what_routers_alone_learn(grouped):
    fast = grouped.fork(CUT + 1, router_lr_mult=10.0)
    assert fast.wait(240) == "finished", fast.message
    here, there = (dict(zip(p.steps, p.values, strict=True)) for p in map(_load, (grouped, fast)))
    np.testing.assert_array_equal(here[CUT + 1], there[CUT + 1])  # the rate acts behind that step's forward pass
    assert np.abs(here[CUT + 2] - there[CUT + 2]).max() > 0


def _load(run):
    return run.reader.arrays("load")


def test_partners_and_their_entropy_by_hand():
    chosen = torch.tensor([[0, 1], [0, 1], [2, 3], [2, 3]])
    both = measures.together(chosen, 4)
    conditional = measures.conditional(both)
    assert coselection.partners(conditional, 2).item() == 1  # threshold 2/3
    assert coselection.partner_entropy(conditional).item() == 0
    assert coselection.lift_spread(measures.lift(both, 4), both.diagonal() > 0).item() == 1
    mixed = measures.conditional(measures.together(torch.tensor([[0, 1], [0, 2], [0, 3]]), 4))
    # of four experts: one with three equal partners, three with one each
    assert coselection.partner_entropy(mixed).item() == pytest.approx(0.25)
    assert coselection.one_copy(torch.tensor([[0, 1], [3, 2], [1, 2], [0, 3]]), 2).item() == 0.5


def findings(detector, rows):
    found = [f for step, row in enumerate(rows) for f in detector.update(step, row)]
    return [*found, *detector.finish(len(rows) - 1)]


def test_a_jump_is_a_finding_that_names_the_part():
    assert not findings(UpcycleJump(), [{"upcycle_jump": 0.019}])
    [found] = findings(UpcycleJump(), [{"router_init": "random", "weights": "renormalised"}, {"upcycle_jump": 0.5}])
    assert (found.first, found.last) == (1, 1)
    assert "not the slices of one copy" in found.sentence
    [found] = findings(UpcycleJump(), [{"weights": "softmax", "upcycle_jump": 0.5}])
    assert "do not add up" in found.sentence


def test_frozen_cliques_and_experts_without_partners_are_found_when_they_last():
    stuck = [{"mean_one_copy": 0.95}] * 250
    assert findings(FrozenCliques(), stuck)
    assert not findings(FrozenCliques(), stuck[:150] + [{"mean_one_copy": 0.5}] * 100)
    assert not findings(FrozenCliques(), [{"granularity": 1, "mean_one_copy": 1.0}] * 250)
    assert findings(NoStructure(), [{"lift_spread": 0.05}] * 5)
    assert not findings(NoStructure(), [{"lift_spread": 0.3}] * 5)


class Recorded(dict):
    """What a claim's function reads of a run."""

    def __getitem__(self, name):
        return type("Series", (), {"values": np.array(super().__getitem__(name))})


def test_the_claims_read_the_ends_of_runs():
    exact, fresh = Recorded(upcycle_jump=[1e-6]), Recorded(upcycle_jump=[0.06])
    assert claims.kept([exact, fresh])
    assert not claims.kept([fresh, exact])
    shallow_free = {"partners": [[9.0, 2.0]], "partner_entropy": [[0.9, 0.5]]}
    assert claims.patterned(Recorded(shallow_free)) == 1
    assert claims.patterned(Recorded({**shallow_free, "partner_entropy": [[0.5, 0.9]]})) == 0
    assert claims.patterned(Recorded({**shallow_free, "partners": [[2.0, 9.0]]})) == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"hidden": 36, "granularity": 8}, "granularity must divide hidden; got 8 and 36"),
        ({"top_k": 2}, "top_k must be granularity"),
        ({"experts": 5}, "experts follows from copies"),
        ({"dense_steps": 700}, "dense_steps must be less than steps"),
        ({"granularity": 1, "copies": 1}, "at least 2 experts"),
        ({"router_init": "random", "top_k": 16, "copies": 1}, "top_k must not exceed experts; got 16 of 4"),
        ({"copies": 9}, "copies must lie between 1 and 8"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(overrides, words):
    with pytest.raises(InvalidValue, match=words):
        compose(EXPERIMENT, overrides=overrides)
