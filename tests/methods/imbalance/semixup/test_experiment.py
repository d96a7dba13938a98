"""The experiment: its controls while it runs, its arms, forks; bad settings; what detectors say of recorded runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.cards import card
from workbench.cards.errors import InvalidValue
from workbench.detectors import load, scan
from workbench.journal import Inbox
from workbench.methods.imbalance.semixup.module import ramp
from workbench.runs import Store, compose
from workbench.steering import worker

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "imbalance__semixup.npz"
TERMS = ("loss_cons", "loss_mixup", "loss_cons_mixup", "loss_cons_aug_mixup")
STEPS, LATER = 24, 12  # of the smoke preset; where controls are moved


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train the smoke preset in this process, under a real session; none of the runs twice."""
    store, kept = Store(tmp_path_factory.mktemp("semixup") / "store"), {}

    def run(arm="semixup", at=None, state="finished", **values):
        key = repr((arm, at, sorted(values.items())))
        if key not in kept:
            tree = compose("imbalance/semixup", arm=arm, preset="smoke", overrides={"tracking": "off", **values})
            made = store.create(tree)
            for step, change in (at or {}).items():
                Inbox(made.dir).issue("set", {"values": change}, at_step=step)
            worker.main(str(made.dir.path))
            kept[key] = store.run(made.id)
            assert kept[key].state == state, kept[key].dir.log.read_text()
        return kept[key]

    return run


def series(run, name: str) -> np.ndarray:
    return run[name].values


def test_the_loss_is_the_labelled_one_and_the_four_terms_behind_their_ramp_up(trained):
    run = trained()
    parts = sum(series(run, name) for name in (*TERMS, "loss_labelled"))
    np.testing.assert_allclose(series(run, "loss"), parts, rtol=1e-5)
    np.testing.assert_allclose(series(run, "coef_now"), [ramp(k, 8) for k in range(STEPS)], rtol=1e-6)
    assert all((series(run, name) > 0).all() for name in TERMS)


def test_it_is_looked_at_behind_the_first_step_every_few_and_behind_the_last(trained):
    run = trained(steps=20)
    assert run["balanced_accuracy"].steps.tolist() == [0, 5, 11, 17, 19]
    for name in ("triangle_x", "triangle_y"):
        assert run.reader.array_at(name)[1].shape == (4,)
    np.testing.assert_allclose(
        run.reader.arrays("acc_per_class").values.mean(1), series(run, "balanced_accuracy"), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("control", "value", "moved"),
    [
        ("coef_cons", 0.0, ("loss_cons",)),
        ("coef_mixup", 0.0, ("loss_mixup",)),
        ("coef_cons_mixup", 0.0, ("loss_cons_mixup", "loss_cons_aug_mixup")),
    ],
)
def test_a_coefficient_counts_from_the_step_where_it_is_moved(trained, control, value, moved):
    plain, run = trained(), trained(at={LATER: {control: value}})
    for name in TERMS:
        np.testing.assert_array_equal(series(run, name)[:LATER], series(plain, name)[:LATER])
        assert (series(run, name)[LATER:] == 0).all() == (name in moved)


@pytest.mark.parametrize(
    "change",
    [{"min_lambda": 0.95}, {"distance": "kl"}, {"rampup": 500}, {"mixup": True}, {"alpha": 3.0}, {"dropout": 0.0}],
)
def test_other_knobs_change_the_very_next_step_too(trained, change):
    plain, run = series(trained(), "loss"), series(trained(at={LATER: change}), "loss")
    np.testing.assert_array_equal(run[:LATER], plain[:LATER])
    assert run[LATER] != plain[LATER]


def test_stopped_gradients_leave_the_present_loss_and_change_the_next(trained):
    plain, run = series(trained(), "loss"), series(trained(at={LATER: {"stop_gradient": True}}), "loss")
    np.testing.assert_allclose(run[: LATER + 1], plain[: LATER + 1], rtol=1e-6)
    assert run[LATER + 1] != plain[LATER + 1]


def test_a_least_weight_near_one_makes_mixed_pictures_their_parents(trained):
    plain, run = (trained(rampup=0, dropout=0.0, min_lambda=floor) for floor in (0.55, 0.95))
    assert series(run, "loss_cons_mixup").mean() < series(plain, "loss_cons_mixup").mean() / 2


@pytest.mark.parametrize(
    ("arm", "there"),
    [
        ("supervised", ()),
        ("mixup", ()),
        ("pi", ("loss_cons",)),
        ("ict", ("loss_mixup",)),
        ("mixmatch", ("loss_mixup",)),
    ],
)
def test_every_arm_trains_with_the_terms_it_has(trained, arm, there):
    run = trained(arm)
    assert {name for name in TERMS if series(run, name).any()} == set(there)
    assert bool(series(run, "coef_now").any()) == bool(there)
    assert np.isfinite(series(run, "loss")).all()


def test_a_larger_ratio_sees_more_unlabelled_pictures_and_the_same_labelled_ones(trained):
    plain, run = trained(), trained(unlabelled_ratio=6)
    assert series(run, "loss_labelled")[0] == series(plain, "loss_labelled")[0]
    assert series(run, "loss_cons")[0] != series(plain, "loss_cons")[0]


def test_arms_of_one_seed_begin_alike(trained):
    semixup, supervised = trained(), trained("supervised")
    assert series(semixup, "loss_labelled")[0] == series(supervised, "loss_labelled")[0]


def test_a_fork_is_exact_and_so_is_what_follows(trained):
    run = trained(**{"run.checkpoint_every": 5})
    child = run.fork(13)
    assert child.wait(240) == "finished", child.dir.log.read_text()
    assert run.identical_to(child), str(run.identical_to(child))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_lambda": 0.4}, "min_lambda must lie between 0.5 and 0.95"),
        ({"coef_cons": 9.0}, "coef_cons must lie between 0 and 8"),
        ({"n_labelled": 9}, "n_labelled must lie between 10 and 500"),
        ({"unlabelled_ratio": 7}, "unlabelled_ratio must lie between 1 and 6"),
        ({"distance": "l1"}, "distance must be one of mse, kl"),
        ({"per_grade": 11}, "per_grade must not exceed n_labelled, the 10 labelled pictures of a grade; got 11"),
        ({"n_unlabelled": 50, "unlabelled_ratio": 6}, "A batch has 60 unlabelled pictures"),
        ({"method": "semixp"}, "method must be one of semixup"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("imbalance/semixup", preset="smoke", overrides=changes)


def test_on_recorded_tours_each_finding_is_told_where_it_belongs():
    arrays, found = np.load(JOURNAL), {}
    for arm in card("imbalance/semixup").preset("tour").arms:
        names = [n for n in arrays.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        columns = {n.split(".", 1)[1]: (arrays[f"{n}.steps"], arrays[n]) for n in names}
        found[arm] = {f.id for f in scan(columns, load(card("imbalance/semixup")))}
    assert "consistency_collapse" in found["failing"]
    assert found["starved"] == {"label_starved"}
    assert found["semixup"] == found["supervised"] == set()
