"""Requests of time travel: what goes wrong is said and changes nothing; with real workers, what goes right."""

import pytest

from tests.figures.recorded import feed_of, record
from workbench.cards import InvalidValue, NotAllowed, UnknownName, card
from workbench.figures.feed import Feed
from workbench.figures.source import StoreRuns
from workbench.runs import Store

PATIENCE = 240.0  # seconds until the test gives up; nothing is measured
ENDED = ("finished", "stopped", "failed", "lost")


@pytest.fixture
def recorded(store):
    made = record(store, "mended").go(100)
    yield made
    made.end()


@pytest.mark.parametrize(
    ("op", "args", "error", "words"),
    [
        ("fork", {"step": 5}, InvalidValue, "names no run"),
        ("fork", {"run": "20260101-000000-demo-waves-aaaa", "step": 5}, UnknownName, "aaaa"),
        ("fork", {"run": True, "step": 5}, InvalidValue, "names no run"),
        ("fork", {"run": "ID", "step": 5.5}, InvalidValue, "A fork's step is a whole number"),
        ("fork", {"run": "ID", "step": None}, InvalidValue, "A fork's step is a whole number"),
        ("fork", {"run": "ID", "step": -1}, InvalidValue, "from 0 on"),
        ("fork", {"run": "ID", "step": 900}, NotAllowed, "only come to step 100"),
        ("fork", {"run": "ID", "step": 5, "values": {"epsilon": 8}}, InvalidValue, "between 0 and 0.5"),
        ("fork", {"run": "ID", "step": 5, "values": {"epsilom": 0.1}}, UnknownName, "Did you mean 'epsilon'"),
        ("fork", {"run": "ID", "step": 5, "values": {"init": "ibp"}}, NotAllowed, "a fork cannot change it"),
        ("fork", {"run": "ID", "step": 5, "before": 77}, InvalidValue, "no command 77"),
        ("back", {"count": 0}, InvalidValue, "at least 1"),
        ("back", {"count": "many"}, InvalidValue, "whole number"),
        ("back", {"count": 3}, NotAllowed, "pause it"),
        ("restart", {"runs": []}, NotAllowed, "No run is named"),
        ("restart", {"runs": ["ID"]}, NotAllowed, "only a stopped, failed or lost run"),
        ("note", {"run": "ID", "name": "two\nlines"}, InvalidValue, "one line"),
        ("delete", {"run": "ID"}, NotAllowed, "stop it first"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_changes_nothing(recorded, store, op, args, error, words):
    feed = feed_of(store)
    before = feed.run_ids
    args = {k: recorded.run.id if v == "ID" else [recorded.run.id] if v == ["ID"] else v for k, v in args.items()}
    with pytest.raises(error, match=words):
        feed.perform(op, args)
    assert feed.run_ids == before
    assert Store(store).ids() == [recorded.run.id]


def test_a_name_a_star_and_a_note_are_in_the_next_frame_and_in_the_listing(recorded, store, ears):
    ear = ears(feed_of(store))
    ear.look("loss")
    ear.wait(lambda h: h["full"])
    assert ear.ask("note", run=recorded.run.id, name=" the good one ", star=True, note="keep")["ok"]
    head, _ = ear.wait(lambda h: h["runs"][0]["star"])
    run = head["runs"][0]
    assert (run["name"], run["label"], run["note"], run["archived"]) == ("the good one", "the good one", "keep", False)
    [row] = ear.ask("runs")["result"]["runs"]
    assert (row["star"], row["name"]) == (True, "the good one")
    assert ear.ask("note", run=recorded.run.id, name="")["ok"]
    ear.wait(lambda h: h["runs"][0]["label"] == "mended" and h["runs"][0]["star"])


def test_an_archived_run_is_not_shown_by_itself(store):
    old = record(store, "mended").go(10)
    feed = feed_of(store)
    feed.perform("note", {"run": old.run.id, "archived": True})
    assert feed.source.newest() == []
    assert feed.perform("attach", {"runs": [old.run.id]})["runs"] == [old.run.id]
    old.end()


def test_a_run_is_deleted_with_its_folder_and_leaves_the_panel(store):
    gone, kept = record(store, "mended").go(30).end(), record(store, "broken").go(30).end()
    feed = feed_of(store)
    feed.perform("attach", {"runs": [gone.run.id, kept.run.id]})
    assert feed.perform("delete", {"run": gone.run.id}) == {"runs": [kept.run.id]}
    assert not gone.run.dir.path.exists()
    assert [r["id"] for r in feed.state()["runs"]] == [kept.run.id]
    assert feed.perform("delete", {"run": kept.run.id}) == {"runs": []}
    assert feed.state()["runs"] == []


def test_two_runs_are_compared_as_plain_data(store):
    a, b = record(store, "half").go(30).end(), record(store, "broken").go(30).end()
    report = feed_of(store).perform("compare", {"a": a.run.id, "b": b.run.id})
    assert report["first_difference"]["step"] == 0
    assert ["init", "ibp", "default"] in report["config"]["differing"]
    assert "epsilon" in [name for name, _ in report["config"]["identical"]]


# -- with real workers ------------------------------------------------------------------------------------------------


@pytest.fixture
def ear(store, ears):
    found = card("certified/ibp")
    made = ears(Feed(StoreRuns(found, Store(store)), found))
    yield made
    for run in Store(store).runs(active=True):
        run.stop()
    for run in Store(store).runs():
        run.wait(PATIENCE)


def test_a_run_is_forked_compared_stepped_back_and_resumed(ear, store):
    ear.look("losses")
    answer = ear.ask("start", arms=["fast"], preset="smoke", seed=3, values={"steps": 100_000})
    assert answer["ok"], answer
    [parent] = answer["result"]["runs"]
    ear.wait(lambda h: h["runs"] and h["runs"][0]["step"] >= 8, patience=PATIENCE)

    answer = ear.ask("fork", run=parent, step=5, values={"epsilon": 0.3})
    assert answer["ok"], answer
    child = answer["result"]["run"]
    assert answer["result"]["runs"] == [parent, child]
    head, _ = ear.wait(lambda h: len(h["runs"]) == 2 and h["runs"][1]["step"] >= 7, patience=PATIENCE)
    assert [(r["kind"], r["fork_step"], r["values"]["epsilon"]) for r in head["runs"]] == [
        ("", None, 0.1),
        ("fork", 5, 0.3),
    ]
    [told] = [i for i in head["interventions"] if i["run"] == child]
    assert (told["step"], told["source"], told["outcome"], told["new"]) == (5, "fork", "applied", {"epsilon": 0.3})
    report = ear.ask("compare", a=parent, b=child)["result"]
    assert report["aligned_at"] == 5
    assert report["first_difference"]["step"] == 5

    assert ear.ask("pause")["ok"]
    head, _ = ear.wait(lambda h: {r["state"] for r in h["runs"]} == {"paused"}, patience=PATIENCE)
    stood = {r["id"]: r["step"] for r in head["runs"]}
    answer = ear.ask("back", count=2)
    assert answer["ok"], answer
    forks = answer["result"]["forks"]
    assert list(forks) == [parent, child]
    assert answer["result"]["runs"] == [forks[parent], forks[child]]
    head, _ = ear.wait(
        lambda h: [(r["id"], r["state"]) for r in h["runs"]] == [(i, "paused") for i in forks.values()],
        patience=PATIENCE,
    )
    assert [r["fork_step"] for r in head["runs"]] == [stood[parent] - 1, stood[child] - 1]
    assert [r["label"] for r in head["runs"]] == ["fast", "fork at 5"]
    assert head["runs"][1]["values"]["epsilon"] == 0.3, "what its parent was told is in the fork too"
    assert Store(store).run(parent).wait(PATIENCE) == "stopped", "nobody sees it any more"
    assert [f.id for f in ear.feed.source.newest()] == list(forks.values())

    assert ear.ask("stop")["ok"]
    ear.wait(lambda h: {r["state"] for r in h["runs"]} == {"stopped"}, patience=PATIENCE)
    assert ear.ask("restart", runs=[forks[parent]])["ok"]
    on = stood[parent] + 2
    ear.wait(lambda h: h["runs"] and h["runs"][0]["step"] > on, patience=PATIENCE)
