"""The thinned series: short, append-only, and no spike is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.tracking.thinning import Grid, onsets, thin


@pytest.mark.parametrize("planned", [0, 1, 100, 1_801, 4_700, 100_000, 10**7])
@pytest.mark.parametrize("points", [500, 2_000])
def test_a_run_has_at_most_the_points_that_were_promised(planned, points):
    widths = np.diff(Grid(planned, points).ends(0, planned or 10**9), prepend=0)
    assert np.where(widths == 1, 1, 2).sum() <= points


@pytest.mark.parametrize("planned", [100, 4_700, 100_000])
def test_a_run_that_goes_on_ten_times_longer_than_planned_still_fits(planned):
    widths = np.diff(Grid(planned, 2_000).ends(0, 10 * planned), prepend=0)
    assert np.where(widths == 1, 1, 2).sum() <= 2_000


@settings(max_examples=100)
@given(
    planned=st.integers(0, 5_000),
    cuts=st.lists(st.integers(1, 8_000), max_size=12, unique=True),
    seed=st.integers(0, 9),
)
def test_points_do_not_depend_on_when_they_are_sent(planned, cuts, seed):
    rng = np.random.default_rng(seed)
    steps = np.unique(rng.integers(0, 8_000, 3_000))
    values = rng.standard_normal(len(steps))
    grid = Grid(planned, 300)

    def sent(limits):
        start, places = 0, []
        for limit in limits:
            ends = grid.ends(start, limit)
            if len(ends):
                inside = np.flatnonzero((steps >= start) & (steps < ends[-1]))
                places += inside[thin(steps[inside], values[inside], ends)].tolist()
                start = int(ends[-1])
        return places

    assert sent([*sorted(cuts), 8_000]) == sent([8_000])


@settings(max_examples=50)
@given(place=st.integers(0, 99_999), sign=st.sampled_from([-1, 1]))
def test_one_spike_in_a_hundred_thousand_steps_is_kept_at_its_step(place, sign):
    steps = np.arange(100_000)
    values = np.sin(steps / 1_000)
    values[place] = 50 * sign
    kept = thin(steps, values, Grid(100_000, 2_000).ends(0, 100_000))
    assert place in kept
    assert len(kept) <= 2_000


def test_values_that_are_not_finite_are_never_extremes_and_each_onset_is_marked():
    values = np.array([1.0, np.nan, np.nan, 3.0, np.inf, 2.0])
    assert thin(np.arange(6), values, np.array([6])).tolist() == [0, 3]
    assert onsets(values, before=False).tolist() == [1, 4]
    assert onsets(values[1:], before=True).tolist() == [3]
