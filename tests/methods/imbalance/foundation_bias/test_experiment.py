"""The experiment: what each control changes and what it leaves alone, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.cards import InvalidValue, card
from workbench.detectors import load, scan
from workbench.methods.imbalance.foundation_bias.module import Experiment
from workbench.runs import compose

JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "imbalance__foundation_bias.npz"
FOUND = card("imbalance/foundation_bias")
SMALL = {**FOUND.preset("smoke").overrides, "steps": 12}
LOOKS = ("acc_per_class", "balanced_accuracy", "gap_P", "acc_PxD")


@pytest.fixture(autouse=True)
def _encoders_once(tmp_path_factory, monkeypatch):
    """All tests of this file may share the encoders that they pretrain."""
    monkeypatch.setenv("WORKBENCH_ARTIFACTS", str(tmp_path_factory.getbasetemp() / "encoders"))


def config(**values):
    made = FOUND.config()
    for name, value in {**SMALL, **values}.items():
        setattr(made, name, value)
    made.validate()
    return made


def train(between=None, seed=0, **values):
    """A short run in this process: the experiment, and the run."""
    made = config(**values)
    with workbench.session(made, experiment="tests/bias", seed=seed, mlflow=False) as session:
        experiment = Experiment(made, session)
        for step in session.steps(made.steps):
            if between is not None:
                between(step, made)
            experiment.step(step)
    return experiment, workbench.run(session.rundir.path.name)


def last(run, name):
    return np.asarray(run[name].values[-1])


def same_training(a, b):
    return np.array_equal(a["loss"].values, b["loss"].values)


def test_the_answer_is_changed_by_weights_mix_and_subtraction_and_the_training_is_not():
    _, mixed = train()
    for values in (
        {"weight_1": 0.0, "weight_2": 0.0}, {"mix": "probabilities", "weight_0": 0.1}, {"subtract": "truth"},
        {"subtract": "estimate", "strength": 0.5},
    ):  # fmt: skip
        _, other = train(**values)
        assert same_training(mixed, other)
        assert not np.array_equal(last(mixed, "acc_per_class"), last(other, "acc_per_class")), values
    assert last(mixed, "weights") == pytest.approx([1 / 3] * 3)


def test_the_weights_of_one_model_alone_show_that_model():
    _, run = train(weight_0=0.0, weight_1=0.4, weight_2=0.0)
    assert last(run, "balanced_accuracy") == pytest.approx(last(run, "balanced_models")[1])
    assert last(run, "best_single") == last(run, "balanced_models").max()
    corners = {tuple(row[:3]): row[3] for row in last(run, "mix_map")}
    assert corners[0, 1, 0] == pytest.approx(last(run, "balanced_accuracy"))
    assert len(corners) == 66


def test_a_loss_changed_on_the_way_counts_from_there():
    def change(step, made):
        made.loss = "ce" if step >= 6 else "la"

    _, plain = train()
    _, changed = train(change)
    before, after = (run["loss"].values for run in (plain, changed))
    assert np.array_equal(before[:6], after[:6])
    assert before[6] != after[6]


def test_without_tau_adjustment_is_cross_entropy():
    assert same_training(train(tau=0.0)[1], train(loss="ce")[1])


def test_the_control_shares_model_0_with_the_mix():
    mix, _ = train()
    control, run = train(tails="same")
    assert np.array_equal(mix.train_x[0], control.train_x[0])
    assert not np.array_equal(mix.train_x[1], control.train_x[1])
    assert len({tuple(t.order) for t in control.pictures.pretraining}) == 1
    assert last(run, "balanced_models")[0] == last(train()[1], "balanced_models")[0]


def test_what_is_shown_agrees_with_itself():
    experiment, run = train()
    mine = experiment.pictures.pretraining[0].order
    each = last(run, "acc_by_pretraining")
    assert last(run, "balanced_accuracy") == pytest.approx(each.mean())
    assert last(run, "gap_P") == pytest.approx(each[:3].mean() - each[-3:].mean())
    even = last(run, "acc_even")
    assert last(run, "bias_P") == pytest.approx(last(run, "gap_P") - (even[:3].mean() - even[-3:].mean()))
    true, found = (np.exp(last(run, f"log_prior_{which}")) for which in ("true", "hat"))
    assert true == pytest.approx(experiment.pictures.pretraining[0].prior[mine])
    assert (np.diff(true) <= 0).all()
    assert found.sum() == pytest.approx(1)
    assert last(run, "prior_error")[0] == pytest.approx(50 * np.abs(true - found).sum())


def test_looks_are_averaged_and_one_model_has_no_map():
    experiment, run = train(crops=3, n_confounders=1)
    assert experiment.test_x.shape == (1, 3 * 4000, 64)
    assert last(run, "confusion").shape == (10, 10)
    assert "mix_map" not in run.reader.names()


def test_on_recorded_tours_each_arm_is_told_its_own_imbalance():
    arrays, told = np.load(JOURNAL), {}
    for arm in FOUND.preset("tour").arms:
        columns = {name: (arrays[f"{arm}.{name}.steps"], arrays[f"{arm}.{name}"]) for name in ("bias_P", "bias_D")}
        told[arm] = {f.id for f in scan(columns, load(FOUND))}
    assert told == {"la": {"parameter_imbalance"}, "backdoor": set(), "ce": {"data_imbalance"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_0": 0, "weight_1": 0, "weight_2": 0}, "weights of the 3 models are all 0"),
        ({"n_confounders": 1, "weight_0": 0}, "give one of weight_0 … weight_0 more than 0"),
        ({"downstream_images": 60, "downstream_if": 100}, "the rarest class would keep"),
        ({"pretrain_images": 100, "pretrain_if": 200}, "the rarest class would keep"),
        ({"batch_size": 512}, "batch_size must not exceed the 19. pictures"),
        ({"crops": 0}, "crops must lie between 1 and 5"),
        ({"pretrain_if": 0.5}, "pretrain_if must lie between 1 and 200"),
        ({"correlation": 2}, "correlation must lie between -1 and 1"),
        ({"loss": "hinge"}, "loss must be one of la, ce"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("imbalance/foundation_bias", preset="smoke", overrides=changes)


def test_a_class_with_too_few_pictures_is_named():
    with pytest.raises(InvalidValue, match=r"Class \d has 4500 examples, and the profile asks for \d+"):
        train(pretrain_images=30_000, pretrain_if=50.0)
