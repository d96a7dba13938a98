import re

import numpy as np
import pytest

from tests.figures.recorded import CARD, record
from workbench.figures.charts import chart_data
from workbench.figures.plotly_ import figure, html


@pytest.fixture
def runs(store):
    recordings = [record(store, arm).go(400, nan_at=(123,)) for arm in ("broken", "mended")]
    for r in recordings:
        r.run.refresh()
    yield [r.run for r in recordings]
    for r in recordings:
        r.end()


@pytest.mark.parametrize("view", CARD.views, ids=lambda v: v.id)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_kind_of_chart_becomes_a_plotly_figure(runs, view, theme):
    chart = chart_data(CARD, runs, view)
    fig = figure(chart, theme=theme)
    assert view.title in fig.layout.title.text
    if chart.empty:
        assert fig.layout.annotations[0].text == chart.empty
    else:
        assert len(fig.data) + len(fig.layout.annotations) > 0


def test_a_line_breaks_at_a_value_that_is_not_finite_and_marks_it(runs):
    fig = figure(chart_data(CARD, runs[:1], CARD.views[0]))
    curve = next(t for t in fig.data if t.name == "loss")
    assert np.isnan(curve.y[123])
    mark = next(t for t in fig.data if t.name == "loss: not finite")
    assert list(mark.x) == [123]


def test_a_sparser_series_is_drawn_through(runs):
    error = next(v for v in CARD.views if v.id == "error")
    curve = next(t for t in figure(chart_data(CARD, runs[:1], error)).data if t.name == "verified")
    assert list(curve.x) == list(range(0, 400, 20))
    assert np.isfinite(curve.y).all()


def test_legends_name_the_run_where_there_are_several(runs):
    names = {r.id: r.label for r in runs}
    fig = figure(chart_data(CARD, runs, CARD.views[0]), runs=names)
    assert [t.name for t in fig.data if t.mode == "lines" and t.name] == ["broken · loss", "mended · loss"]


def test_findings_tint_a_range_and_applied_interventions_stand_as_lines(runs):
    findings = [{"first": 10, "last": None, "title": "wave breaks"}]
    done = [{"step": 50, "outcome": "applied"}, {"step": None, "outcome": "refused"}]
    fig = figure(chart_data(CARD, runs, CARD.views[0]), findings=findings, interventions=done)
    assert [(s.type, s.x0, s.x1) for s in fig.layout.shapes if s.type == "rect"] == [("rect", 10, 399 + 1)]
    assert [s.x0 for s in fig.layout.shapes if s.type == "line" and s.x0 == s.x1] == [50]


def test_the_page_works_alone_with_plotly_inside_and_nothing_fetched(runs):
    page = html(figure(chart_data(CARD, runs, CARD.views[0])))
    assert page[:200].startswith("<!doctype html>")
    assert len(page) > 3_000_000
    fetched = re.findall(r"<(?:script|link)[^>]*(?:src|href)=.{0,80}", page)
    assert fetched == []


def test_a_reference_s_words_stand_at_its_line_on_a_logarithmic_axis_too(runs):
    fig = figure(chart_data(CARD, runs, CARD.views[0]))
    line = next(s for s in fig.layout.shapes if s.y0 == s.y1)
    words = next(a for a in fig.layout.annotations if a.text == "chance")
    assert 10**words.y == pytest.approx(line.y0)
