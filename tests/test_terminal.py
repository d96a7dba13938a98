"""What the command line draws."""

from __future__ import annotations

import math

import pytest

from workbench.terminal import duration, size, sparkline


def test_a_sparkline_rises_with_its_values_and_shows_what_is_not_finite():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, math.nan, 1.0, math.inf], 4) == "▁!▁!"
    assert sparkline([]) == ""
    assert len(sparkline(range(1000), 40)) == 40


@pytest.mark.parametrize(("seconds", "said"), [(None, ""), (47.9, "47 s"), (190, "3 min 10 s"), (7500, "2 h 05 min")])
def test_durations_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (4e9, "4.0 GB"), (2e15, "2000.0 TB")]
)
def test_sizes_are_said_as_people_say_them(count, said):
    assert size(count) == said
