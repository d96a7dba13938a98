import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.figures import grid


class Length:
    """As much of a run as the axis needs."""

    def __init__(self, step, steps, ended=False):
        self.step, self.steps, self.ended, self.fork_step = step, steps, ended, None


def test_a_grid_finer_than_the_steps_gives_each_step_a_bucket_of_its_own():
    bounds = grid.edges(0, 9, 500, 9)
    assert bounds.tolist() == list(range(11))
    assert grid.centres(bounds).tolist() == list(range(10))


@given(st.integers(0, 10**9), st.integers(1, 10**7), st.integers(1, 3000), st.integers(0, 10**7))
def test_a_grid_has_at_most_one_bucket_a_pixel_and_covers_every_step_once(first, length, width, recorded):
    last = first + min(recorded, length)
    bounds = grid.edges(first, first + length, width, last)
    assert len(bounds) - 1 <= width
    assert bounds[0] == first
    assert bounds[-1] > last
    assert np.all(np.diff(bounds) >= 1)
    assert np.all(bounds == np.round(bounds))


def test_a_bucket_stays_as_it_is_while_the_run_goes_on():
    young, old = grid.edges(0, 4700, 400, 1000), grid.edges(0, 4700, 400, 4000)
    assert old[: len(young)].tolist() == young.tolist()


def test_a_young_run_is_shown_large_and_a_grown_one_whole():
    assert grid.domain([Length(10, 4700)]) == (0, 19)
    low, high = grid.domain([Length(1200, 4700)])
    assert low == 0
    assert 1200 < high < 4700
    assert grid.domain([Length(4000, 4700)]) == (0, 4700)


def test_the_axis_of_several_runs_holds_the_longest():
    assert grid.domain([Length(4000, 4700), Length(10, 9400)])[1] == 9400 / 2


def test_the_axis_of_a_run_without_a_planned_end_stands_still_between_jumps():
    ends = [grid.domain([Length(step, None)])[1] for step in range(100, 10_000)]
    assert ends == sorted(ends)
    assert len(set(ends)) <= 18
    assert all(step < end <= 1.5 * (step + 1) for step, end in zip(range(100, 10_000), ends, strict=True))
    assert grid.domain([Length(5000, 4700)])[1] == 6000  # trains on past its plan


def test_the_axis_of_an_ended_run_ends_with_it():
    assert grid.domain([Length(777, None, ended=True)]) == (0, 778)
    assert grid.domain([Length(0, None)]) == (0, 1)
