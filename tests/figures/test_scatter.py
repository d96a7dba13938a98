"""Two signals against each other: a dot a run, or a dot a component."""

import numpy as np
import pytest

from tests.figures.recorded import CARD, record
from workbench.cards import Series, View
from workbench.figures.chartdata import ScatterData, decode
from workbench.figures.charts import chart_data
from workbench.figures.plotly_ import figure
from workbench.figures.requests import view_of


def draw(runs, view, **wish):
    view = view if isinstance(view, View) else view_of(CARD, view)
    for run in runs:
        run.refresh()
    chart = chart_data(CARD, runs, view, **wish)
    assert isinstance(chart, ScatterData)
    return chart


@pytest.fixture
def pair(store):
    broken, mended = record(store, "broken").go(400), record(store, "mended").go(300)
    yield broken.run, mended.run
    broken.end()
    mended.end()


def test_each_run_is_a_dot_where_its_last_values_stand(pair):
    chart = draw(pair, "front")
    assert [d.run for d in chart.series] == [r.id for r in pair]
    for dots, run in zip(chart.series, pair, strict=True):
        assert dots.x.tolist() == [run["err"].values[-1]]
        assert dots.y.tolist() == [run["pgd"].values[-1]]
        assert dots.step == run["err"].steps[-1]
    assert (chart.xlabel, chart.xunit, chart.ylabel, chart.yunit) == ("verified", "%", "pgd", "%")
    assert chart.ydomain == (0, 100)
    assert chart.step == 380


def test_the_time_slider_moves_the_dots_back_along_their_paths(pair):
    now, then = draw(pair, "front"), draw(pair, "front", at=110)
    run = pair[0]
    assert then.series[0].step == 100
    assert then.series[0].x[0] == run["err"].values[run["err"].steps == 100][0]
    assert then.series[0].path_x.size < now.series[0].path_x.size
    assert now.series[0].path_x[: then.series[0].path_x.size - 1] == pytest.approx(then.series[0].path_x[:-1])
    assert now.series[0].path_y == pytest.approx(0.8 * now.series[0].path_x)


def test_a_view_may_do_without_the_paths(pair):
    view = View("bare", "Bare", kind="scatter", series=("err", "pgd"), path=False)
    assert [d.path_x for d in draw(pair, view).series] == [None, None]


def test_two_vectors_are_a_dot_a_component(pair):
    chart = draw(pair, "layers")
    for dots, run in zip(chart.series, pair, strict=True):
        assert dots.x == pytest.approx(run["active"].values[-1])
        assert dots.y == pytest.approx(run["inactive"].values[-1])
        assert dots.labels == ("layer 1", "layer 2", "layer 3")
        assert dots.path_x is None


def test_vectors_of_different_sizes_and_other_than_two_signals_are_refused_in_words(pair):
    unequal = draw(pair, View("odd", "Odd", kind="scatter", series=("active", "width")))
    assert "active has 3 values and width 6" in unequal.empty
    assert not unequal.series
    three = draw(pair, View("three", "Three", kind="scatter", series=("err", "pgd", "loss")))
    assert three.empty == "A scatter takes two signals, x and y; the view three names 3."


def test_a_run_that_has_no_place_on_the_axes_is_named_in_the_note(store):
    whole, broken = record(store, "mended").go(21), record(store, "broken").go(21, nan_at=(20,))
    young = record(store, "half")
    runs = [whole.run, broken.run, young.run]
    chart = draw(runs, View("v", "V", kind="scatter", series=("err", Series("loss")), scale="log"))
    assert [d.run for d in chart.series] == [whole.run.id]
    assert chart.note == f"not drawn: {broken.run.label}: not finite, {young.run.label}: nothing yet"
    assert draw([young.run], "front").empty == "Waiting for the first value of err, pgd."
    for recording in (whole, broken, young):
        recording.end()


def test_runs_called_the_same_are_told_apart_by_what_differs(store):
    first, second = record(store, seed=1).go(21), record(store, seed=2).go(21)
    words = [d.apart for d in draw([first.run, second.run], "front").series]
    assert words == ["seed 1", "seed 2"]
    assert [d.apart for d in draw([first.run], "front").series] == [""]
    first.end()
    second.end()


def test_a_fork_stands_where_its_parent_was_until_it_has_values_of_its_own(store):
    parent = record(store, "mended").go(200)
    fork = record(store, "mended", first=150, parent=parent.run.id, fork_step=150)
    [dots] = draw([fork.run], "front").series
    assert dots.step == 140
    assert dots.x[0] == parent.run["err"].values[parent.run["err"].steps == 140][0]
    parent.end()
    fork.end()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_plotly_figure_has_the_same_dots_and_names(pair, theme):
    for view in ("front", "layers"):
        encoded = draw(pair, view).encode()
        chart = decode(encoded.head, encoded.data)
        fig = figure(chart, theme=theme, runs={r.id: f"run {r.label}" for r in pair})
        dots = [t for t in fig.data if t.mode == "markers"]
        assert [t.name for t in dots] == [f"run {r.label}" for r in pair]
        for trace, made in zip(dots, chart.series, strict=True):
            assert np.asarray(trace.x) == pytest.approx(made.x)
            assert f"step {made.step:,}" in trace.hovertemplate
        assert len([t for t in fig.data if t.mode == "lines"]) == (2 if view == "front" else 0)
        assert fig.layout.xaxis.title.text == ("verified (%)" if view == "front" else "active")
