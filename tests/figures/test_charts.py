import dataclasses

import numpy as np
import pytest

from tests.figures.recorded import CARD, LAYERS, record
from workbench.cards import Signal, View, card, experiments
from workbench.figures import grid
from workbench.figures.chartdata import BarData, GridData, HistogramData, ImageData, LineData, TextData
from workbench.figures.charts import chart_data
from workbench.figures.lines import _held
from workbench.figures.plotly_ import figure
from workbench.figures.requests import view_of


def draw(runs, view, **wish):
    view = view if isinstance(view, View) else view_of(CARD, view)
    for run in runs:
        run.refresh()
    return chart_data(CARD, runs, view, **wish)


@pytest.fixture
def pair(store):
    broken, mended = record(store, "broken").go(400), record(store, "mended").go(400)
    yield broken.run, mended.run
    broken.end()
    mended.end()


def test_a_line_finer_than_the_pixels_shows_each_value_without_a_band(store):
    recording = record(store).go(400)
    chart = draw([recording.run], "loss", width=800)
    assert isinstance(chart, LineData)
    [line] = chart.series
    recorded = recording.run["loss"]
    assert chart.x.steps.tolist() == recorded.steps.tolist()
    assert line.mean == pytest.approx(recorded.values)
    assert line.lo is None
    assert line.hi is None
    assert not line.gaps
    recording.end()


def test_a_coarse_line_is_the_mean_of_each_bucket_over_its_extremes(store):
    recording = record(store).go(400)
    chart = draw([recording.run], "loss", width=40)
    [line] = chart.series
    assert line.lo is not None
    assert line.hi is not None
    every = recording.run["loss"].values
    assert line.lo.min() == pytest.approx(every.min())
    assert line.hi.max() == pytest.approx(every.max())
    assert np.all(line.lo <= line.mean)
    assert np.all(line.mean <= line.hi)
    bounds = grid.edges(0, 400, 40, 399)
    assert len(line.mean) == 40
    buckets = [every[(bounds[i] <= np.arange(400)) & (np.arange(400) < bounds[i + 1])] for i in range(40)]
    assert line.mean == pytest.approx([b.mean() for b in buckets])
    recording.end()


def test_a_value_that_is_not_finite_is_a_gap_with_a_mark_at_its_step(store):
    recording = record(store).go(400, nan_at=(123, 200))
    chart = draw([recording.run], "loss", width=800)
    [line] = chart.series
    assert line.gaps
    assert np.flatnonzero(np.isinf(line.mean)).tolist() == [123, 200]
    assert line.nonfinite == (123, 200)
    recording.end()


def test_a_spike_and_a_nan_survive_any_thinning(store):
    recording = record(store, steps=20_000)
    recording.go(20_000, nan_at=(7_777,))
    chart = draw([recording.run], "loss", width=50)
    [line] = chart.series
    assert len(line.nonfinite) == 1
    assert abs(line.nonfinite[0] - 7_777) <= 400
    assert line.hi is not None
    assert np.nanmax(line.hi) == pytest.approx(np.nanmax(recording.run["loss"].values))
    recording.end()


def test_series_recorded_less_often_share_the_grid_and_are_drawn_on_between(pair):
    chart = draw(pair, "error", width=800)
    assert len(chart.series) == 4
    verified = chart.series[0]
    there = np.flatnonzero(~np.isnan(verified.mean))
    assert chart.x.steps[there].tolist() == list(range(0, 400, 20))
    assert verified.gaps
    assert not np.isinf(verified.mean).any()


def test_a_band_joins_the_two_signals_of_the_same_run(pair):
    chart = draw(pair, "error", width=800)
    assert [(b.lo, b.hi) for b in chart.bands] == [(f"{r.id}:pgd", f"{r.id}:err") for r in pair]


def test_the_remedy_has_the_first_colour_and_the_phenomenon_the_second(pair):
    chart = draw(pair, "loss")
    assert [line.color for line in chart.series] == [{"run": 1}, {"run": 0}]


def test_a_vector_gives_a_shaded_line_a_component(pair):
    chart = draw(pair, "width")
    mine = [line for line in chart.series if line.run == pair[0].id]
    assert [line.label for line in mine] == list(LAYERS)
    assert [line.shade for line in mine] == pytest.approx([(i + 1) / 6 for i in range(6)])
    assert [line.label for line in draw(pair, "width", component=2).series] == ["layer 3", "layer 3"]


def test_an_area_stacks_one_component_of_one_run_to_the_whole(pair):
    chart = draw(pair, "states", run=pair[1].id, component=1)
    assert chart.run == pair[1].id
    assert chart.component == 1
    assert chart.title == "States, layer 2"
    assert [line.label for line in chart.series] == ["active", "inactive"]
    assert sum(line.mean for line in chart.series) == pytest.approx(np.ones(400), abs=1e-6)
    assert chart.ydomain == (0.0, 1.0)


def test_an_area_lets_one_choose_among_components_that_only_the_data_counts(pair):
    assert draw(pair, "states").components == ("layer 1", "layer 2", "layer 3")
    assert draw(pair, View("w", "W", kind="area", series=("width",))).components == (), "all are drawn at once"


def test_an_area_shows_the_last_component_of_the_first_run_unless_asked(pair):
    chart = draw(pair, "states")
    assert (chart.run, chart.component) == (pair[0].id, 2)


def test_zooming_fetches_the_detail_of_the_range(store):
    recording = record(store, steps=20_000).go(20_000)
    chart = draw([recording.run], "loss", width=500, range=(1000, 1200))
    assert chart.xdomain == (1000, 1200)
    assert chart.x.steps.tolist() == list(range(1000, 1201))
    [line] = chart.series
    assert line.mean == pytest.approx(recording.run["loss"].values[1000:1201])
    recording.end()


def test_a_range_with_one_fixed_end_lets_the_other_follow_the_data(pair):
    low, high = draw(pair, "schedule").ydomain
    assert low == 0
    assert 0.1 < high < 0.12


def test_a_reference_follows_the_latest_value_of_its_signal(pair):
    marks = draw(pair, "loss").references
    assert [(m.label, round(m.value, 6)) for m in marks] == [("chance", 1.0), ("ε", 0.1)]


def test_bars_show_the_newest_step_or_the_time_slider_s(pair):
    newest = draw(pair, "bars")
    assert isinstance(newest, BarData)
    assert newest.step == 399
    assert newest.labels == LAYERS
    assert len(newest.series) == 2
    earlier = draw(pair, "bars", at=100)
    assert earlier.step == 100
    assert earlier.series[0].values == pytest.approx(pair[0]["width"].values[100])


def test_a_histogram_has_the_bins_its_signal_declares(pair):
    chart = draw(pair, "hist", at=50)
    assert isinstance(chart, HistogramData)
    assert chart.edges == (-1.0, 1.0, 8)
    assert chart.step == 40
    assert chart.series[0].counts.tolist() == [40, 41, 42, 43, 44, 45, 46, 47]


def test_a_heat_map_has_a_row_a_component_and_a_column_a_bucket(pair):
    chart = draw(pair, "heat", width=100)
    assert isinstance(chart, GridData)
    assert chart.rows == LAYERS
    assert chart.values.size == 6 * chart.x.at.size


def test_between_the_columns_of_a_heat_map_the_last_value_stands_but_not_over_a_long_pause():
    nan = np.nan
    row = np.array([nan, 1, nan, nan, 2, nan, nan, 3] + [nan] * 14 + [4, nan, nan, nan])
    held = _held(np.stack([row, np.where(np.isnan(row), nan, 7)]))
    assert np.array_equal(held[0, :8], [nan, 1, 1, 1, 2, 2, 2, 3], equal_nan=True)
    assert np.isnan(held[0, 8:22]).all()
    assert np.array_equal(held[0, 22:], [4, 4, 4, nan], equal_nan=True)
    assert np.array_equal(np.isnan(held[0]), np.isnan(held[1]))


def test_a_matrix_names_rows_and_columns(pair):
    chart = draw(pair, "matrix")
    assert chart.rows == ("cat", "dog")
    assert chart.values.tolist() == [0.9, 0.0, 0.0, 0.9]


def test_pictures_carry_labels_captions_and_values_between_zero_and_one(pair):
    chart = draw(pair, "boxes")
    assert isinstance(chart, ImageData)
    assert [(p.label, p.caption) for p in chart.images] == [("a", "certified at 380"), ("b", "not certified")]
    assert (chart.images[0].width, chart.images[0].height, chart.images[0].channels) == (4, 4, 1)
    assert chart.images[0].data.tolist() == [1.0] * 16


def test_text_names_the_run_where_there_are_several(pair):
    chart = draw(pair, "words", at=30)
    assert isinstance(chart, TextData)
    assert chart.step == 20
    assert chart.lines[0] == "broken: certified at 20"


def test_an_empty_chart_says_what_it_waits_for_and_an_ended_run_what_it_never_recorded(store):
    recording = record(store)
    assert draw([recording.run], "loss").empty == "Waiting for the first value of loss."
    recording.end("stopped")
    assert draw([recording.run], "loss").empty == "mended recorded no loss."
    assert draw([], "loss").empty == "No run of this experiment is shown."


def test_a_kind_of_view_that_cannot_be_drawn_says_so(pair):
    odd = View("odd", "Odd", kind="sculpture", series=("width",))
    assert draw(pair, odd).empty == "Views of the kind 'sculpture' cannot be drawn yet."


def test_every_colour_a_card_names_is_a_design_token():
    import workbench
    from workbench.figures.palette import tokens

    for name in workbench.experiments():
        for view in workbench.card(name).views:
            for series in view.lines():
                assert not series.color or series.color in tokens()["light"], (name, view.id, series.color)


@pytest.mark.parametrize("experiment", experiments())
def test_every_view_of_every_experiment_is_of_a_kind_that_is_drawn(experiment):
    for view in card(experiment).views:
        empty = chart_data(card(experiment), [], view)
        assert empty.kind == view.kind
        assert empty.empty == "No run of this experiment is shown."
        assert figure(empty).layout.title.text


def test_a_views_range_is_that_of_the_colours_of_heat_maps_and_matrices(pair):
    assert draw(pair, View("h", "H", kind="heatmap", series=("width",), range=(0, 500))).vdomain == (0, 500)
    assert draw(pair, View("m", "M", kind="matrix", series=("confusion",), range=(0, 1))).vdomain == (0, 1)


def test_the_two_sides_of_a_matrix_have_names_of_their_own(pair):
    sided = Signal("confusion", shape="matrix", axis="layer × task")
    card_ = dataclasses.replace(CARD, signals=(sided,))
    view = View("m", "M", kind="matrix", series=("confusion",))
    chart = chart_data(card_, pair, view)
    assert chart.rows == ("layer 1", "layer 2")
    assert chart.columns == ("task 1", "task 2")


def test_of_a_stack_of_matrices_one_is_shown_the_last_unless_asked(pair):
    chart = draw(pair, "load")
    assert (chart.component, chart.components) == (1, ("layer 1", "layer 2"))
    assert chart.rows == ("code", "prose")
    assert chart.columns == ("expert 1", "expert 2", "expert 3")
    assert chart.values == pytest.approx(np.ravel(np.full((2, 3), 1 / 3) + np.eye(2, 3) / 2))
    assert draw(pair, "load", component=0).component == 0
    assert draw(pair, "load", component=9).component == 1


def test_the_layers_of_a_stack_share_their_colours_and_the_neutral_value(store):
    recording = record(store)
    recording.writer.append_array("load", [0], [0.0], np.arange(12.0).reshape(1, 2, 2, 3))
    recording.writer.flush()
    free = View("m", "M", kind="matrix", series=("load",), center=5.0)
    for component in (0, 1):
        chart = draw([recording.run], free, component=component)
        assert (chart.vdomain, chart.center) == ((0.0, 11.0), 5.0)
    recording.end()


def test_an_array_with_too_many_sides_is_named_in_the_chart(store):
    recording = record(store)
    recording.writer.append_array("load", [0], [0.0], np.zeros((1, 2, 2, 2, 2)))
    recording.writer.flush()
    assert "shape (2, 2, 2, 2)" in draw([recording.run], "load").empty
    recording.end()


def test_a_plotly_scale_parts_at_the_neutral_value_and_nowhere_without_one(pair):
    [parted] = figure(draw(pair, "load")).data
    assert [share for share, _ in parted.colorscale] == pytest.approx([0, 1 / 3, 1])
    [plain] = figure(draw(pair, "matrix")).data
    assert [share for share, _ in plain.colorscale] == [0, 1]
