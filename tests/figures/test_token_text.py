"""A text with a category a token: what is emitted, which layer is shown, and how it is drawn."""

import json

import numpy as np
import pytest

from tests.figures.recorded import CARD, record, routes
from workbench.cards import InvalidValue
from workbench.figures import own
from workbench.figures.chartdata import decode
from workbench.figures.charts import chart_data
from workbench.figures.plotly_ import figure
from workbench.figures.requests import view_of
from workbench.figures.token_text import read
from workbench.signals import TOKENS, tokens

VIEW = view_of(CARD, "routes")


@pytest.fixture
def made(tmp_path):
    recording = record(tmp_path).go(100)
    yield recording
    recording.end()


def page(made, **more):
    made.run.refresh()
    return chart_data(CARD, [made.run], VIEW, **more)


def test_what_is_emitted_comes_back_as_it_was():
    data = read(tokens(["a", " b"], np.array([[0, 1], [1, -1]]), ("one", "two"), "words"))
    assert data == {"tokens": ["a", " b"], "categories": [[0, 1], [1, -1]], "names": ["one", "two"], "title": "words"}
    assert read(tokens("ab", [1, 0]))["categories"] == [[1, 0]]


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        ("\x07", "<0x07>"), ("a\r", "a<0x0D>"), (b"\xc3".decode(errors="surrogateescape"), "<0xC3>"),
        ("\x85", "<0x85>"), ("\n", "\n"), ("\t", "\t"), ("é漢😀", "é漢😀"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_text_are_written_in_hex_so_that_the_rest_can_be_stored(piece, shown):
    text = tokens([piece], [0])
    text.encode("utf-8")
    assert read(text)["tokens"] == [shown]


def test_of_a_long_text_the_beginning_is_kept():
    data = read(tokens("x" * (TOKENS + 5), np.zeros((2, TOKENS + 5), dtype=int)))
    assert len(data["tokens"]) == len(data["categories"][1]) == TOKENS


@pytest.mark.parametrize("wrong", [[0], [[0, 1, 2]], [0.0, 1.0], [0, -2], np.zeros((1, 1, 2), int), [True, False]])
def test_categories_that_are_no_whole_numbers_for_each_token_are_refused_in_words(wrong):
    with pytest.raises(InvalidValue, match="Categories"):
        tokens(["a", "b"], wrong)


def test_the_last_layer_is_shown_unless_another_is_asked_for(made):
    chart = page(made)
    assert (chart.component, chart.components, chart.step) == (1, ("layer 1", "layer 2"), 80)
    assert chart.categories.tolist() == [3, 3, 3, 3, 3, 3, 3, -1]
    assert page(made, component=0).categories.tolist() == [1, 2, 0, 1, 2, 0, 1, 2]
    assert chart.subtitle == "the test text · where each byte went"


def test_shares_are_of_all_tokens_the_dropped_among_them(made):
    assert page(made).shares == (0, 0, 0, 7 / 8)
    assert page(made, component=0).shares == (2 / 8, 3 / 8, 3 / 8, 0)


def test_categories_without_a_name_are_numbered_whichever_layer_has_them(made):
    assert page(made, component=0).names == ("sea", "lake", "3", "4")


def test_the_text_moves_with_the_time_slider(made):
    chart = page(made, at=39, component=0)
    assert chart.step == 20
    assert chart.categories.tolist() == [1, 2, 0, 1, 2, 0, 1, 2]
    assert page(made, at=0, component=0).categories.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_single_layer_leaves_no_choice(made):
    made.writer.append_text("routes", 200, 1.0, tokens("ab", [0, 1]))
    made.writer.flush()
    assert page(made).components == ()


def test_a_text_of_another_kind_is_named_in_the_chart(made):
    for text in ("plain", '{"tokens": 3}', '{"tokens":["a"],"categories":[[0,1]],"names":[],"title":""}'):
        assert read(text) is None
    made.writer.append_text("routes", 200, 1.0, "plain")
    made.writer.flush()
    assert "workbench.signals.tokens" in page(made).empty


def test_a_run_without_a_text_says_that_it_waits(tmp_path):
    recording = record(tmp_path)
    chart = page(recording)
    assert chart.empty == "Waiting for the first value of routes."
    assert not figure(chart).data
    recording.end()


def test_the_frame_decodes_to_what_was_encoded(made):
    chart = page(made)
    encoded = chart.encode()
    again = decode(json.loads(json.dumps(encoded.head)), encoded.data)
    assert (again.pieces, again.names, again.shares) == (chart.pieces, chart.names, chart.shares)
    assert again.categories.tolist() == chart.categories.tolist()
    assert again.encode().head == encoded.head


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_is_the_text_in_colours_with_shares_in_its_legend(made, theme):
    fig = figure(page(made, component=0), theme=theme)
    assert [t.name for t in fig.data] == ["sea: 25.0%", "lake: 37.5%", "3: 37.5%", "4: 0.0%"]
    words = fig.layout.annotations[-1].text
    assert "⏎<br>" in words
    assert "&lt;eos&gt;" in words
    assert words.count("<span") == 8
    assert fig.layout.title.subtitle.text.startswith("layer 1 · step 80")


def test_an_own_experiment_shows_its_text_as_such(tmp_path):
    made = record(tmp_path)
    made.writer.append_text("mine", 0, 1.0, routes(0))
    made.writer.flush()
    made.run.refresh()
    assert [v.kind for v in own._views(made.run) if v.id == "mine"] == ["tokens"]
    made.end()
