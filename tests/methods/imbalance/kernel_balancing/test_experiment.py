"""The experiment: what moves when a control moves, and that truth is kept out of what a recommender may know."""

import numpy as np
import pytest
import torch

from workbench.cards import InvalidValue
from workbench.methods.imbalance.kernel_balancing.knobs import Balancing
from workbench.methods.imbalance.kernel_balancing.world import build
from workbench.runs import Run, launch

EXPERIMENT = "imbalance/kernel_balancing"


def go(**overrides) -> Run:
    run = launch(EXPERIMENT, preset="smoke", overrides={"tracking": "off", **overrides})
    assert run.wait(120) == "finished", run.message
    return run


def last(run, name):
    return run[name].values[-1]


def world(strength=2.0, seed=0, **options):
    return build(60, 80, strength, 0.1, np.random.default_rng(seed), torch.Generator().manual_seed(seed), **options)


def test_liked_films_are_rated_more_often_the_stronger_the_selection():
    shares = []
    for strength in (0.0, 3.0):
        w = world(strength)
        assert w.propensity.mean() == pytest.approx(0.1, abs=1e-6)
        shares.append(w.likes.ravel()[w.observed].mean() - w.likes.mean())
    assert shares[0] < 0.12 < 0.25 < shares[1]


def test_each_person_is_tested_on_films_drawn_evenly():
    w = world()
    people, films = np.divmod(w.test.reshape(60, -1), 80)
    assert (people == np.arange(60)[:, None]).all()
    assert all(len(set(row)) == 20 for row in films.tolist())


def test_true_propensities_estimate_the_risks_that_no_weights_misjudge():
    naive, true = (go(base=base, balance="none", users=120, items=150) for base in ("none", "true"))
    assert last(true, "risk_error") < last(naive, "risk_error") / 3


def test_balancing_closes_the_gap_of_its_functions_and_of_others():
    wanted = {"base": "none", "users": 120, "items": 150, "n_basis": 32, "weight_clip": 1.0, "slack": 0.005}
    base, balanced = go(balance="none", **wanted), go(balance="dual", **wanted)
    assert last(balanced, "balanced") == 1
    assert last(balanced, "max_balance_gap") < 0.0076 < 0.05 < last(base, "max_balance_gap")
    assert last(balanced, "audit_gap") < last(base, "audit_gap") / 2
    assert last(balanced, "effective_sample_size") < last(base, "effective_sample_size") == 1


@pytest.mark.parametrize(
    "overrides",
    [
        {"balance": "alternating", "n_basis": 4}, {"estimator": "dr"}, {"base": "logistic"}, {"kernel": "laplace"},
        {"basis_choice": "worst"}, {"basis_choice": "adaptive"},
    ],
    ids=str,
)  # fmt: skip
def test_every_choice_trains(overrides):
    run = go(**overrides)
    assert np.isfinite(run["loss"].values).all()
    assert run.reader.array_at("balance_gap")[1].shape == (overrides.get("n_basis", 8),)


def test_the_worst_functions_are_less_balanced_than_random_ones():
    chosen = {c: go(base="none", balance="none", basis_choice=c) for c in ("random", "worst")}
    assert last(chosen["worst"], "max_balance_gap") > last(chosen["random"], "max_balance_gap")


def test_a_moved_control_solves_anew_at_the_next_step_and_a_fork_begins_with_the_weights_it_had():
    run = go(rules=[{"when": {"step": 6}, "then": {"slack": 0.1}}])
    assert run["solve_seconds"].steps.tolist() == [0, 6]
    child = run.fork(9)
    assert child.wait(120) == "finished", child.message
    assert "solve_seconds" not in child.reader.names()  # it was not solved again
    assert child.identical_to(run, first=9)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"n_basis": 256, "users": 10, "items": 20, "density": 0.5}, "at most the 200 pairs of 10 people and 20 films"),
        ({"users": 10, "items": 10}, "Only about 10 pairs would be rated"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(values, says):
    with pytest.raises(InvalidValue, match=says):
        Balancing(**values).validate()
