import pytest

from tests.figures.recorded import feed_of, record
from workbench.cards import InvalidValue, NotAllowed, UnknownName
from workbench.figures.requests import meeting_step
from workbench.figures.shared import recorded_rate
from workbench.journal import Inbox


def commands(recording):
    return [(c.kind, c.payload, c.at_step, c.source) for c in Inbox(recording.run.dir).after(0)]


@pytest.fixture
def pair(store):
    recordings = record(store, "broken").go(100), record(store, "mended").go(60)
    yield recordings
    for r in recordings:
        r.end()


def test_several_runs_move_at_one_step_ahead_of_the_furthest(pair, store):
    result = feed_of(store).perform("set", {"values": {"epsilon": 0.2}})
    assert set(result["commands"]) == {r.run.id for r in pair}
    assert result["at_step"] > 99
    assert [commands(r) for r in pair] == [[("set", {"values": {"epsilon": 0.2}}, result["at_step"], "panel")]] * 2


def test_a_single_run_moves_at_once(pair, store):
    result = feed_of(store).perform("set", {"runs": [pair[0].run.id], "values": {"epsilon": 0.2}})
    assert result["at_step"] is None
    assert commands(pair[1]) == []


def test_a_run_that_has_ended_is_left_out_and_the_reason_given(pair, store):
    feed = feed_of(store)
    pair[0].end()
    result = feed.perform("set", {"values": {"epsilon": 0.2}})
    assert list(result["commands"]) == [pair[1].run.id]
    assert "is finished, so it takes no commands" in result["skipped"][pair[0].run.id]
    pair[1].end()
    with pytest.raises(NotAllowed, match="takes no commands"):
        feed.perform("pause", {})


@pytest.mark.parametrize(
    ("standings", "step"),
    [
        ([(100, 50.0, 1000), (60, 10.0, 1000)], 176),
        ([(100, 0.0, 1000)], 102),
        ([(990, 500.0, 1000), (60, 10.0, 1000)], 999),
        ([(999, 500.0, 1000)], 1000),
        ([(5, 1.0, None), (3, 1.0, 4)], 6),
    ],
)
def test_arms_meet_a_second_ahead_of_the_furthest_but_before_the_end(standings, step):
    assert meeting_step(standings) == step


def test_the_rate_of_a_run_just_attached_is_read_from_its_journal(pair):
    pair[0].run.refresh()
    assert recorded_rate(pair[0].run) == pytest.approx(100.0)  # its clock: 10 ms a step


@pytest.mark.parametrize(
    ("op", "args", "error", "words"),
    [
        ("set", {"values": {"epsilom": 1}}, UnknownName, "Did you mean 'epsilon'"),
        ("set", {"values": {"epsilon": 8}}, InvalidValue, "between 0 and 0.5 pixel"),
        ("set", {"values": {"epsilon": float("nan")}}, InvalidValue, "finite"),
        ("set", {"values": {"init": "default"}}, NotAllowed, "start a new run"),
        ("dance", {}, UnknownName, "no request 'dance'"),
        ("figure", {"chart": "lost"}, UnknownName, "no chart 'lost'"),
        ("set", {"runs": ["nobody"], "values": {}}, InvalidValue, "does not show the run nobody"),
    ],
)
def test_bad_requests_get_a_sentence_and_send_nothing(pair, store, op, args, error, words):
    feed = feed_of(store)
    with pytest.raises(error, match=words):
        feed.perform(op, args)
    reply = feed.handle({"id": 7, "op": op, "args": args})
    assert (reply["type"], reply["id"], reply["ok"]) == ("reply", 7, False)
    assert words in reply["error"]
    assert [commands(r) for r in pair] == [[], []]


@pytest.mark.parametrize(
    ("op", "args", "sent"),
    [
        ("pause", {}, ("pause", {})),
        ("resume", {}, ("resume", {})),
        ("stop", {}, ("stop", {})),
        ("checkpoint", {}, ("checkpoint", {})),
        ("step", {"count": 3}, ("step", {"count": 3})),
        ("action", {"name": "shock"}, ("action", {"name": "shock"})),
        ("probe", {"name": "look"}, ("probe", {"name": "look"})),
    ],
)
def test_buttons_become_commands_of_the_runs_named(pair, store, op, args, sent):
    feed_of(store).perform(op, {"runs": [pair[1].run.id], **args})
    assert commands(pair[0]) == []
    assert [c[:2] for c in commands(pair[1])] == [sent]


def test_the_listing_is_newest_first_and_an_older_group_can_be_attached(store):
    old = record(store, "half", group="old").go(10).end()
    new = record(store, "mended", group="new").go(20)
    feed = feed_of(store)
    rows = feed.perform("runs", {})["runs"]
    assert {r["id"]: (r["arm"], r["state"], r["step"]) for r in rows} == {
        new.run.id: ("mended", "running", 19),
        old.run.id: ("half", "finished", 9),
    }
    assert feed.perform("attach", {"runs": [old.run.id]}) == {"runs": [old.run.id]}
    new.end()
    assert feed.perform("attach", {"runs": []})["runs"] != []


def test_a_run_of_another_experiment_cannot_be_shown(store):
    from workbench.runs import Store

    other = Store(store).create({"experiment": "other/thing", "seed": 0})
    with pytest.raises(NotAllowed, match="is a run of other/thing"):
        feed_of(store).attach([other.id])


def test_a_figure_is_a_page_of_its_own(pair, store):
    page = feed_of(store).perform("figure", {"chart": "loss"})["html"]
    assert "broken" in page
    assert len(page) > 3_000_000


def test_mlflow_is_pointed_to_by_address_and_command(pair, store, monkeypatch):
    feed = feed_of(store)
    answer = feed.perform("mlflow", {})
    assert answer == {"url": None, "command": f"mlflow ui --backend-store-uri sqlite:///{store}/mlflow.db"}
    monkeypatch.setenv("WORKBENCH_MLFLOW_URL", "http://localhost:5000")
    assert feed.perform("mlflow", {})["url"] == "http://localhost:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example.org")
    monkeypatch.delenv("WORKBENCH_MLFLOW_URL")
    assert feed.perform("mlflow", {})["url"] == "https://tracking.example.org"
