"""The stream of a model's responses: what is emitted, graded, leafed through, and drawn as a table."""

import json

import pytest

from tests.figures.recorded import CARD, answers, feed_of, record
from workbench.cards import InvalidValue
from workbench.figures import own
from workbench.figures.chartdata import Response, decode
from workbench.figures.charts import chart_data
from workbench.figures.plotly_ import figure
from workbench.figures.responses import graded, parsed
from workbench.signals import responses

VIEW = next(v for v in CARD.views if v.id == "answers")


@pytest.fixture
def made(tmp_path):
    recording = record(tmp_path).go(100)
    yield recording
    recording.end()


def page(made, **more):
    made.run.refresh()
    return chart_data(CARD, [made.run], VIEW, **more)


def test_what_is_emitted_comes_back_as_it_was():
    sampled, marks = parsed(responses(answers(3), ("V",)))
    assert marks == ("V",)
    assert [r.reward for r in sampled] == [1.0, 0.5, 0.0, None]
    assert sampled[0] == Response("R 3 5 1 =", "3 3 5 8 1 9 V A 3 <eos>", 1.0, "2 passes")


def test_eight_are_kept_long_ones_lose_their_middle_and_a_nan_is_no_reward():
    many = [{"text": "x" * 9000 + "end", "reward": float("nan")} for _ in range(20)]
    data = json.loads(responses(many))
    assert len(data["responses"]) == 8
    assert len(data["responses"][0]["text"]) <= 4000
    assert data["responses"][0]["text"].endswith("end")
    assert data["responses"][0]["reward"] is None


@pytest.mark.parametrize("one", [{"prompt": "?"}, {"text": "a", "score": 1}])
def test_a_response_with_other_keys_is_refused_in_words(one):
    with pytest.raises(InvalidValue, match="has a text and may have"):
        responses([one])


def test_the_newest_page_is_followed_and_knows_its_neighbours(made):
    chart = page(made)
    assert (chart.step, chart.earlier, chart.later, chart.newest, chart.held) == (80, 60, None, 80, False)
    made.go(30)
    assert page(made).step == 120


def test_a_page_is_held_while_training_goes_on(made):
    made.go(60)
    chart = page(made, range=(40, 41))
    assert (chart.step, chart.earlier, chart.later, chart.newest, chart.held) == (40, 20, 60, 140, True)
    assert page(made, range=(40, 41), at=120).step == 40  # before the time slider
    assert page(made, at=70).step == 60
    assert page(made, range=(0, 1)).earlier is None


def test_pages_before_a_fork_are_the_parents(tmp_path):
    parent = record(tmp_path).go(100)
    child = record(tmp_path, first=50, kind="fork", parent=parent.run.id, fork_step=50).go(50)
    chart = page(child)
    assert (chart.step, chart.earlier) == (80, 60)
    chart = page(child, range=(60, 61))
    assert (chart.earlier, chart.later) == (40, 80)
    chart = page(child, range=(40, 41))
    assert (chart.step, chart.earlier, chart.later) == (40, 20, 60)


def test_rewards_are_graded_by_thirds_of_what_they_span():
    def grades(rewards, ends=None):
        return [r.grade for r in graded([Response("", "", r) for r in rewards], ends)]

    assert grades([0.0, 0.5, 1.0, None]) == ["bad", "fair", "good", ""]
    assert grades([-4.0, 0.0, 2.0]) == ["bad", "good", "good"]
    assert grades([0.3, 0.9], (0.0, 10.0)) == ["bad", "bad"]


def test_a_text_of_another_kind_is_a_response_a_line():
    assert parsed("one\ntwo") == ([Response("", "one"), Response("", "two")], ())
    assert parsed('{"responses": 3}')[0][0].text == '{"responses": 3}'


def test_the_frame_decodes_to_what_was_encoded(made):
    chart = page(made)
    encoded = chart.encode()
    again = decode(json.loads(json.dumps(encoded.head)), encoded.data)
    assert again.responses == chart.responses
    assert again.marks == ("V",)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_figure_is_a_table_in_which_markup_is_text_and_marks_are_bold(made, theme):
    (table,) = figure(page(made), theme=theme).data
    assert list(table.header["values"]) == ["reward", "prompt", "response", "note"]
    reward, _, response, _ = table.cells["values"]
    assert list(reward) == ["✓ 1", "~ 0.5", "✗ 0", ""]
    assert response[0] == "3 3 5 8 1 9 <b>V</b> A 0 <b>&lt;eos&gt;</b>"
    assert response[3] == "1 &lt; 2 &amp; b<br>next"


def test_a_run_without_responses_says_that_it_waits(tmp_path):
    chart = page(record(tmp_path))
    assert chart.empty == "Waiting for the first value of responses."
    assert not figure(chart).data


def test_the_feed_holds_the_page_that_a_view_asks_for(made):
    feed = feed_of(made.run.dir.path.parent)
    feed.attach([made.run.id])
    feed.subscribe("v", {"active": True, "charts": {"answers": {"range": [0, 1]}}, "at": None}, lambda *_: None)
    head, _ = feed.frame("v", force=True)
    assert (head["charts"][0]["step"], head["charts"][0]["held"]) == (0, True)
    feed.close()


def test_an_own_experiment_shows_its_responses_as_such(tmp_path):
    made = record(tmp_path)
    made.writer.append_text("mine", 0, 1.0, responses(answers(0)))
    made.writer.flush()
    made.run.refresh()
    assert [v.kind for v in own._views(made.run) if v.id == "mine"] == ["responses"]
    made.end()
