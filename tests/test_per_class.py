"""What is measured of a classifier, class by class."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench import PerClass, signals
from workbench.cards import InvalidValue
from workbench.cards.classes import NAMES, class_signals, class_views
from workbench.per_class import confusion, grouped, named


def test_accuracies_of_a_small_table_worked_by_hand():
    truth = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 0, 1, 1, 0, 2])
    found = PerClass(["a", "b", "c"]).measure(predicted, truth)
    assert found["acc_per_class"].tolist() == [75, 50, 100]
    assert found["accuracy"] == pytest.approx(100 * 5 / 7)
    assert found["balanced_accuracy"] == 75
    assert found["worst_class_acc"] == 50
    assert found["harmonic_mean_acc"] == pytest.approx(3 / (1 / 75 + 1 / 50 + 1 / 100))
    assert found["geometric_mean_acc"] == pytest.approx((75 * 50 * 100) ** (1 / 3))
    assert found["confusion"].tolist() == [[75, 25, 0], [50, 50, 0], [0, 0, 100]]
    assert "acc_many" not in found


def test_with_counts_classes_stand_from_frequent_to_rare_and_fall_into_three_groups():
    counts = [5, 300, 60]
    report = PerClass(["ant", "bee", "cat"], counts)
    assert report.names == ("bee (300)", "cat (60)", "ant (5)")
    found = report.measure([0, 1, 2, 2], [0, 1, 2, 1])
    assert found["acc_per_class"].tolist() == [50, 100, 100]
    assert (found["acc_many"], found["acc_medium"], found["acc_few"]) == (50, 100, 100)
    assert found["confusion"][0].tolist() == [50, 50, 0]


def test_where_the_usual_borders_leave_a_group_empty_classes_are_parted_by_rank():
    parts = grouped(np.array([9, 8, 7, 6, 5, 4]))
    assert [parts[n].tolist() for n in ("many", "medium", "few")] == [[0, 1], [2, 3], [4, 5]]
    forced = grouped(np.array([9, 8, 7]), (100, 20))
    assert [len(forced[n]) for n in ("many", "medium", "few")] == [0, 0, 3]


def test_a_class_without_examples_is_not_a_number_and_counts_in_no_mean():
    found = PerClass(3).measure([0, 1], [0, 1])
    assert np.isnan(found["acc_per_class"][2])
    assert found["balanced_accuracy"] == found["worst_class_acc"] == 100


@given(st.integers(2, 6), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_scores_and_their_largest_entries_give_the_same_and_rows_sum_to_the_class(classes, number, seed):
    rng = np.random.default_rng(seed)
    scores, truth = rng.random((number, classes)), rng.integers(0, classes, number)
    table = confusion(scores, truth, classes)
    assert (table == confusion(scores.argmax(1), truth, classes)).all()
    assert (table.sum(1) == np.bincount(truth, minlength=classes)).all()


def test_it_emits_what_cards_declare_and_the_names_once():
    heard: list[tuple[str, object]] = []
    signals.listen(lambda name, value: heard.append((name, value)))
    try:
        report = PerClass(["a", "b", "c"], [200, 50, 5])
        for _ in range(2):
            report.emit(torch.eye(3, requires_grad=True), torch.tensor([0, 1, 2]))
    finally:
        signals.listen(None)
    declared = {s.name for s in class_signals()}
    assert {name for name, _ in heard} == declared | {NAMES}
    assert [json.loads(str(v)) for n, v in heard if n == NAMES] == [["a (200)", "b (50)", "c (5)"]]
    drawn = {s.signal for view in class_views() for s in view.lines()}
    assert drawn <= declared


@pytest.mark.parametrize(
    ("predicted", "truth", "says"),
    [
        ([0, 3], [0, 1], r"A prediction lies outside the whole numbers 0 … 2: they go from 0 to 3\."),
        ([0, 1], [0, -1], r"A label lies outside the whole numbers 0 … 2"),
        ([0.5, 1], [0, 1], "A prediction lies outside the whole numbers"),
        ([0, 1], [0], r"Predictions must be labels \(N,\) or scores \(N, 3\) for N labels"),
        ([], [], "N at least 1"),
    ],
)
def test_what_are_no_predictions_is_refused_in_words(predicted, truth, says):
    with pytest.raises(InvalidValue, match=says):
        PerClass(3).measure(predicted, truth)


@pytest.mark.parametrize(
    ("classes", "options", "says"),
    [
        (1, {}, "at least two classes; got 1"),
        (3, {"counts": [1, 2]}, "number of training examples of each of the 3 classes"),
        (2, {"counts": [1, -2]}, r"0 or more; got \[1, -2\]"),
        (3, {"counts": [1, 2, 3], "borders": (5, 10)}, "must not lie below that of 'few'; got 5 and 10"),
    ],
)
def test_what_are_no_classes_is_refused_in_words(classes, options, says):
    with pytest.raises(InvalidValue, match=says):
        PerClass(classes, **options)


def test_names_that_are_no_list_are_no_names():
    assert named('["a", 1]') == ("a", "1")
    assert named("{") == named(None) == named("3") == ()


def test_torch_is_not_needed():
    code = "import sys, workbench; workbench.PerClass(2).emit([0, 1], [0, 1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
