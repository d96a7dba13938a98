"""Statistics of stretches, and of statistics."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workbench.journal import summary as s
from workbench.journal.summary import Summary, combine, summarise

numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)


def reference(steps, row):
    """One stretch of one component, as slowly as it is plain."""
    good = [(step, v) for step, v in zip(steps, row, strict=True) if np.isfinite(v)]
    bad = [step for step, v in zip(steps, row, strict=True) if not np.isfinite(v)]
    out = np.full(s.FIELDS, np.nan)
    out[s.COUNT], out[s.NONFINITE] = len(good), len(bad)
    if bad:
        out[s.NF_STEP] = bad[0]
    if good:
        values = [v for _, v in good]
        out[s.MIN], out[s.MAX], out[s.FIRST], out[s.LAST] = min(values), max(values), values[0], values[-1]
        out[s.MEAN] = float(sum(map(Fraction, values)) / len(values))
        out[s.MIN_STEP] = next(step for step, v in good if v == min(values))
        out[s.MAX_STEP] = next(step for step, v in good if v == max(values))
    return out


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=numbers),
    st.sets(st.integers(1, 39)),
    st.sets(st.integers(1, 39)),
)
def test_statistics_of_statistics_are_the_statistics_of_all_values(values, cuts, again):
    n = values.shape[1]
    steps = np.arange(10.0, 10.0 + 2 * n, 2)
    starts = np.array([0, *sorted(c for c in cuts if c < n)])
    found = summarise(steps, values, starts)
    groups = np.array([0, *sorted(c for c in again if c < len(starts))])
    whole = combine(found, groups)
    for at, first in ((found, starts), (whole, starts[groups])):
        ends = [*first[1:], n]
        for m, (a, b) in enumerate(zip(first, ends, strict=True)):
            assert (at.s0[m], at.s1[m]) == (steps[a], steps[b - 1])
            for k in range(len(values)):
                want = reference(steps[a:b], values[k, a:b])
                exact = [f for f in range(s.FIELDS) if f != s.MEAN]
                np.testing.assert_array_equal(at.fields[exact, k, m], want[exact])
                scale = max(abs(want[s.MIN]), abs(want[s.MAX])) if want[s.COUNT] else 0.0
                tolerance = max(scale * 1e-12, 1e-300)
                with np.errstate(over="ignore"):
                    assert at.fields[s.MEAN, k, m] == pytest.approx(want[s.MEAN], rel=1e-12, abs=tolerance, nan_ok=True)


def test_the_mean_of_huge_values_does_not_overflow():
    found = summarise(np.arange(4.0), np.full((1, 4), 1.5e308), np.array([0]))
    assert found.fields[s.MEAN, 0, 0] == pytest.approx(1.5e308)


def test_a_packed_summary_comes_back():
    found = summarise(np.arange(200.0), np.random.default_rng(0).normal(size=(3, 200)), np.arange(0, 200, 64))
    again = Summary.unpack(memoryview(found.pack()), 3)
    np.testing.assert_array_equal(again.fields, found.fields)
    np.testing.assert_array_equal(again.s1, found.s1)
