"""Accuracies and what is read from them, on a matrix worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.cards.errors import InvalidValue
from workbench.methods.continual._shared import metrics

R = np.array([[90.0, 5.0, 0.0], [60.0, 80.0, 0.0], [70.0, 50.0, 95.0]])


def test_both_definitions_of_forgetting():
    np.testing.assert_allclose(metrics.experience_forgetting(R, 2), [20, 30])
    again = R.copy()
    again[1, 0] = 99.0  # better after task 1 than right after learning it
    np.testing.assert_allclose(metrics.worst_forgetting(again, 2), [29, 30])
    np.testing.assert_allclose(metrics.experience_forgetting(again, 2), [20, 30])
    assert metrics.backward_transfer(R, 2) == -25
    assert metrics.stream_accuracy(R, 1) == 70


def test_forgetting_after_the_first_task_is_refused():
    for function in (metrics.experience_forgetting, metrics.worst_forgetting, metrics.backward_transfer):
        with pytest.raises(InvalidValue, match="at least two tasks"):
            function(R, 0)
    with pytest.raises(InvalidValue, match="at least 2 tasks"):
        metrics.Record(1)


def test_telling_the_task_takes_the_other_classes_out_of_the_competition():
    logits = np.array([[0.0, 1.0, 5.0, 0.0], [3.0, 0.0, 1.0, 2.0]])
    assert metrics.accuracies(logits, np.array([1, 3]), 2) == (0.0, 100.0)
