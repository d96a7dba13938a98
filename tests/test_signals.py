"""`emit` costs nothing until somebody listens; histograms keep every finite value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import emit, signals


def test_an_emit_reaches_the_listener_of_the_moment_and_nobody_else():
    heard = []
    emit("loss", 1.0)
    signals.listen(lambda name, value: heard.append((name, value)))
    emit("loss", 2.0)
    signals.listen(None)
    emit("loss", 3.0)
    assert heard == [("loss", 2.0)]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)), st.integers(1, 30))
def test_a_histogram_counts_every_finite_value_once_and_outliers_at_its_ends(values, bins):
    counts = signals.histogram(values, -1.0, 1.0, bins)
    finite = np.array([v for v in values if np.isfinite(v)])
    assert counts.shape == (bins,)
    assert counts.sum() == len(finite)
    assert counts[-1] >= (finite >= 1.0).sum()


@pytest.mark.parametrize("shape", [(4,), (2, 2), ()])
def test_a_histogram_takes_any_shape(shape):
    assert signals.histogram(np.full(shape, 0.25), 0.0, 1.0, 4).tolist() == [0, int(np.prod(shape)), 0, 0]
