"""A value over the mixtures of three: the map, what has no place in it, and the runs' own places."""

import json

import numpy as np
import pytest

from tests.figures.recorded import CARD, MIXES, record
from workbench.cards import View
from workbench.figures.chartdata import decode
from workbench.figures.charts import chart_data
from workbench.figures.plotly_ import figure
from workbench.figures.requests import view_of

VIEW = view_of(CARD, "mixes")


@pytest.fixture
def pair(store):
    made = record(store, "broken").go(40), record(store, "mended").go(40)
    yield made
    for recording in made:
        recording.end()


def draw(recordings, view=VIEW, **wish):
    for recording in recordings:
        recording.run.refresh()
    return chart_data(CARD, [r.run for r in recordings], view, **wish)


def put(recording, name, value, step=100):
    recording.writer.append_array(name, [step], [float(step)], np.asarray(value, dtype=float)[None])
    recording.writer.flush()


def test_a_map_has_its_corners_and_its_value_named_and_keeps_every_point(pair):
    chart = draw(pair)
    assert (chart.corners, chart.vlabel, chart.unit) == (("tidal", "swell", "wind"), "height", "%")
    assert chart.weights.reshape(-1, 3).tolist() == MIXES[:, :3].tolist()
    assert chart.values.tolist() == MIXES[:, 3].tolist()
    assert (chart.step, chart.note) == (0, None)


def test_its_colours_go_as_far_as_the_views_range_else_as_the_values(pair):
    assert draw(pair).vdomain == (0.0, MIXES[:, 3].max())
    free = View("m", "M", kind="ternary", series=("mixes",))
    put(pair[0], "mixes", [[1, 0, 0, 2.0], [0, 1, 0, 5.0]])
    assert draw(pair[:1], free).vdomain == (2.0, 5.0)


def test_every_run_has_its_own_place_in_its_own_colour(pair):
    put(pair[1], "mix", (0, 0, 1))
    places = draw(pair).series
    assert [(p.label, p.at) for p in places] == [("broken", (0.5, 0.25, 0.25)), ("mended", (0.0, 0.0, 1.0))]
    assert [p.color for p in places] == [{"run": 1}, {"run": 0}]
    assert draw(pair, at=50).series[1].at == (0.5, 0.25, 0.25)


@pytest.mark.parametrize("at", [(0.5, 0.5, 0.5), (1.5, -0.5, 0.0), (0.5, 0.5, np.nan), (1.0, 0.0)])
def test_a_run_that_lies_nowhere_in_the_triangle_has_no_ring(store, at):
    recording = record(store, "broken")
    put(recording, "mixes", MIXES, step=0)
    put(recording, "mix", at, step=0)
    assert draw([recording]).series == ()
    recording.end()


def test_points_without_a_place_or_a_value_are_counted_not_drawn(pair):
    put(pair[0], "mixes", [[1, 0, 0, 0.5], [0.5, 0.5, 0.5, 0.5], [0, 1, 0, np.nan]])
    chart = draw(pair[:1])
    assert chart.values.tolist() == [0.5]
    assert chart.note == "2 of 3 points have no place or value"


def test_of_runs_whose_maps_differ_the_first_is_shown_and_named(pair):
    put(pair[1], "mixes", MIXES[::-1])
    chart = draw(pair)
    assert (chart.run, chart.note) == (pair[0].run.id, "broken's map")


def test_another_shape_is_named_in_the_chart(pair):
    put(pair[0], "mixes", np.eye(3))
    assert "mixes has the shape (3, 3)" in draw(pair[:1]).empty


def test_a_run_without_a_map_says_that_it_waits(store):
    recording = record(store)
    chart = draw([recording])
    assert chart.empty == "Waiting for the first value of mixes."
    assert not figure(chart).data
    recording.end()


def test_the_frame_decodes_to_what_was_encoded(pair):
    chart = draw(pair)
    encoded = chart.encode()
    again = decode(json.loads(json.dumps(encoded.head)), encoded.data)
    assert again.series == chart.series
    assert again.weights == pytest.approx(chart.weights)
    assert again.encode().head == encoded.head


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_has_the_same_points_corners_and_rings(pair, theme):
    chart = draw(pair)
    fig = figure(chart, theme=theme, runs={p.run: p.label for p in chart.series})
    points, *rings = fig.data
    assert np.stack([points.a, points.b, points.c], axis=1).tolist() == MIXES[:, :3].tolist()
    assert list(points.marker.color) == MIXES[:, 3].tolist()
    assert [r.name for r in rings] == ["broken", "mended"]
    assert fig.layout.ternary.aaxis.title.text == "tidal"
