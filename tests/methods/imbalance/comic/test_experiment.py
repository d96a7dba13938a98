"""Runs: every loss, sampler and data set trains; sliders move what they should; what goes wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.cards import card
from workbench.cards.controls import put
from workbench.cards.errors import InvalidValue
from workbench.detectors import load, scan
from workbench.methods.imbalance.comic.detect import FalseRecall, TailSilence
from workbench.methods.imbalance.comic.knobs import LOSSES, Comic
from workbench.methods.imbalance.comic.module import Experiment
from workbench.runs import compose

ID = "imbalance/comic"
JOURNAL = Path(__file__).parents[3] / "golden" / "journals" / "imbalance__comic.npz"
PER_EPOCH = 13  # batches of the smoke preset


def train(arm="comic_lite", between=None, **changes):
    """A run of the smoke preset in this process; `between` is called before each step with step and configuration."""
    found, made = card(ID), Comic()
    for name, value in {**found.preset("smoke").overrides, **found.arm(arm).overrides, **changes}.items():
        put(made, name, value)
    made.validate()
    with workbench.session(made, experiment="tests/comic", mlflow=False, detectors=load(found)) as session:
        experiment = Experiment(made, session)
        for step in session.steps(made.steps):
            if between is not None:
                between(step, made)
            experiment.step(step)
    return workbench.run(session.rundir.path.name)


def ending(run):
    """Detectors whose findings last to the run's end."""
    return {f.id for f in run.reader.findings() if f.last in (None, run.reader.last_step)}


def test_without_missing_labels_a_fixed_threshold_recalls_false_ones_and_a_gate_stops():
    changes = {"missing_rate": 0.0, "steps": 12 * PER_EPOCH, "audited": 0.1}
    fixed = train("fixed", **changes)
    assert (fixed["recalled_per_epoch"].values[2:] > 0).all()
    assert (fixed["recall_precision"].values == 0).all()
    assert "false_recall" in ending(fixed)
    gated = train(min_precision=0.5, **changes)
    assert (gated["recalled_per_epoch"].values[-3:] == 0).all()
    assert gated["gate_open"].values[-1] == 0
    assert gated["audited_recalls"].values[-1] > 0  # what it would recall is still audited
    assert "false_recall" not in ending(gated)


def test_nothing_is_recalled_before_the_start_and_about_a_share_after_it():
    run = train(corrector_start=2, recall_share=0.1, steps=4 * PER_EPOCH)
    recalled = run["recalled_per_epoch"].values
    recorded = run["recorded_density"].values[-1] * 400 * 18
    assert (recalled[:2] == 0).all()
    assert 0 < recalled[-1] < 0.2 * recorded


def test_the_loss_changes_at_the_step_at_which_the_slider_moves_and_the_curve_with_it():
    plain = train("bce", steps=20)

    def move(step, made):
        made.loss = "multi_focal" if step >= 10 else "bce"

    moved = train("bce", move, steps=20)
    same = plain["loss"].values == moved["loss"].values
    assert same[:10].all()
    assert not same[10:].any()
    before, after = (r.reader.array_at("surface_negative")[1] for r in (plain, moved))
    assert (after < before).all()


def test_three_networks_train_and_alpha_reaches_the_one_that_answers_through_its_teachers_alone():
    for distil in (False, True):
        one, other = (train("balance", distil=distil, head_tail_alpha=alpha)["loss"].values for alpha in (2.0, 4.0))
        assert np.isfinite(one).all()
        assert (one == other).all() == (not distil)


def test_mosaics_train_and_their_classes_have_charts_of_their_own():
    run = train(data="mosaics", train_examples=100, steps=4)
    assert run.reader.array_at("ap_per_class_tiles")[1].shape == (10,)
    assert "ap_per_class" not in run.reader.names()


def test_each_loss_trains_and_they_part():
    seen = {name: train(loss=name, steps=PER_EPOCH)["mean_probability"].values[-1] for name in LOSSES}
    assert len(set(seen.values())) == len(LOSSES)
    assert seen["multi_focal"] > seen["bce"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"missing_rate": 0.95}, "missing_rate must lie between 0 and 0.9"),
        ({"tau": 0.4}, "tau must lie between 0.5 and 0.99"),
        ({"batch_size": 128, "train_examples": 100}, "batch_size must be at most train_examples; got 128 and 100"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose(ID, overrides=changes)


def test_too_few_films_for_the_rarest_genre_are_refused_with_its_name():
    with pytest.raises(InvalidValue, match=r"No example is labelled Musical, Documentary"):
        train(train_examples=50)


# -- detectors --------------------------------------------------------------------------------------------------------


def test_tails_are_silent_with_missing_labels_and_not_with_the_remedy():
    recorded = np.load(JOURNAL)
    ends = {}
    for arm in card(ID).preset("tour").arms:
        names = [n for n in recorded.files if n.startswith(f"{arm}.") and not n.endswith(".steps")]
        columns = {n.split(".", 1)[1]: (recorded[f"{n}.steps"], recorded[n]) for n in names}
        newest = max(int(steps[-1]) for steps, _ in columns.values())
        ends[arm] = {f.id for f in scan(columns, load(card(ID))) if f.last in (None, newest)}
    assert ends == {"bce": {"tail_silence"}, "fixed": {"false_recall"}, "comic_lite": set()}


def told(detector, values):
    found = [f for step, v in enumerate(values) for f in detector.update(step, v)]
    return [*found, *detector.finish(len(values) - 1)]


def recalls(recalled=100, bound=80.0, fixed=0, drift=1.0):
    return {
        "recalled_per_epoch": recalled, "audited_bound": bound, "fixed_threshold": fixed, "label_density": 0.1,
        "mean_probability": 0.1 * drift,
    }  # fmt: skip


def test_recalls_that_audits_rule_out_or_whose_threshold_drifts_are_told_after_two_epochs():
    assert not told(FalseRecall(), [recalls()] * 5)
    assert not told(FalseRecall(), [recalls(bound=40.0), recalls()] * 3)
    assert not told(FalseRecall(), [recalls(drift=3.0)] * 3)  # the level of each class drifts along
    assert not told(FalseRecall(), [recalls(recalled=0, bound=0.0, fixed=1, drift=3.0)] * 3)
    for wrong in (recalls(bound=40.0), recalls(fixed=1, drift=3.0)):
        found = told(FalseRecall(), [recalls(), wrong, wrong, recalls()])
        assert (found[-1].first, found[-1].last) == (1, 2)
        assert "100 labels are recalled an epoch" in found[-1].sentence


def test_silent_classes_are_counted():
    found = told(TailSilence(), [{"silent_classes": 3}, {"silent_classes": 2}, {"silent_classes": 0}])
    assert (found[-1].first, found[-1].last) == (0, 1)
    assert "for 2 of the classes" in found[-1].sentence
    assert not told(TailSilence(), [{"silent_classes": 1}, {"silent_classes": 0}] * 3)
