"""The gap between frequent and rare classes: told when it lasts, once, and over when it has closed."""

import numpy as np
import pytest

from tests.detectors.series import newest, watch


def gaps(many, few):
    return newest(watch("class_spread", {"acc_many": np.array(many, float), "acc_few": np.array(few, float)}))


def test_three_evaluations_with_a_wide_gap_are_told_with_both_accuracies():
    (found,) = gaps([90] * 5, [40] * 5)
    assert (found.first, found.severity) == (0, "warning")
    assert found.sentence.startswith(
        "Classes with few examples are right in 40 % of the cases, those with many in 90 %"
    )
    assert found.evidence["gap"] == 50
    assert "logits" in found.remedy


@pytest.mark.parametrize("few", [[40, 40, 90, 90, 90], [70] * 8], ids=["two in a row", "a small gap"])
def test_a_short_or_small_gap_is_not_told(few):
    assert gaps([90] * len(few), few) == []


def test_a_gap_that_wavers_around_the_border_is_one_episode():
    few = [40] * 4 + [68, 60] * 6 + [88] * 6
    (found,) = gaps([90] * len(few), few)
    assert found.last is not None
    assert 4 + 12 <= found.last + 1 <= 4 + 12 + 3


def test_evaluations_without_a_number_say_nothing():
    few = [40, np.nan, 40, np.nan, 40, 40]
    (found,) = gaps([90] * 6, few)
    assert found.evidence["gap"] == 50
