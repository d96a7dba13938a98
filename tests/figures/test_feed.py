import json
import subprocess
import sys
import threading
import time

import pytest

from tests.figures.recorded import CARD, feed_of, record
from workbench.figures.shared import POOL
from workbench.figures.ticker import TICKER


def chart(head, name):
    return next(c for c in head["charts"] if c["id"] == name)


def test_hello_is_answered_by_the_spec_and_a_full_frame(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.say("hello")
    spec = ear.messages[0][0]
    assert (spec["type"], spec["view"], spec["protocol"]) == ("spec", "v1", 1)
    assert spec["experiment"]["reconstruction"] == CARD.reconstruction
    assert spec["defaults"] == {"preset": "tour", "arms": ["broken", "mended"], "seed": 0}
    assert [c["id"] for c in spec["charts"]] == [v.id for v in CARD.views]
    head, _ = ear.wait(lambda h: h["full"])
    assert [r["id"] for r in head["runs"]] == [recording.run.id]
    recording.end()


def test_a_frame_is_json_and_its_charts_point_into_its_one_buffer(store, ears, numbers):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look(*(v.id for v in CARD.views))
    head, buffers = ear.wait(lambda h: h["full"])
    json.dumps(head, allow_nan=False)
    assert len(buffers) == 1
    assert [c["id"] for c in head["charts"]] == [v.id for v in CARD.views]
    [line] = chart(head, "loss")["series"]
    assert numbers(buffers, line["mean"]) == pytest.approx(recording.run["loss"].values, rel=1e-6)
    recording.end()


def test_charts_that_a_view_does_not_name_are_not_computed(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    head, _ = ear.wait(lambda h: h["full"])
    assert [c["id"] for c in head["charts"]] == ["loss"]
    recording.end()


def test_a_flush_brings_a_full_frame_with_the_new_points(store, ears, numbers):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    first, _ = ear.wait(lambda h: h["full"])
    assert first["runs"][0]["step"] == 99
    recording.go(50)
    head, _ = ear.wait(lambda h: h["runs"][0]["step"] == 149, full=True)
    assert chart(head, "loss")["series"][0]["mean"][1] == 150
    assert chart(head, "loss")["version"] != chart(first, "loss")["version"]
    recording.end()


def test_a_heartbeat_comes_without_news_and_names_the_last_full_frame(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    ear.wait(lambda h: h["full"])
    beat, buffers = ear.wait(lambda h: not h["full"])
    assert beat["charts"] is None
    assert beat["full_n"] < beat["n"]
    assert buffers == [b""]
    recording.end()


def test_two_views_of_one_feed_each_get_what_they_show(store, ears):
    recording = record(store).go(100)
    feed = feed_of(store)
    one, two = ears(feed, "one"), ears(feed, "two")
    one.look("loss")
    two.look("width", "error")
    assert [c["id"] for c in one.wait(lambda h: h["full"])[0]["charts"]] == ["loss"]
    assert [c["id"] for c in two.wait(lambda h: h["full"])[0]["charts"]] == ["error", "width"]
    assert {h["view"] for h, _ in one.messages} == {"one"}
    recording.end()


def test_a_run_has_one_reader_however_many_panels_show_it_and_none_after_the_last(store, ears):
    recording = record(store).go(100)
    feeds = [feed_of(store) for _ in range(3)]
    listeners = [ears(feed) for feed in feeds]
    for ear in listeners:
        ear.look("loss")
        ear.wait(lambda h: h["full"])
    assert len(POOL) == 1
    assert sum(t.name == "workbench-feed" for t in threading.enumerate()) == 1
    for ear in listeners:
        ear.say("bye")
    end = time.monotonic() + 20
    while (len(POOL) or TICKER.running) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(POOL) == 0
    assert not TICKER.running
    recording.end()


def test_a_view_comes_back_to_life_after_its_thread_has_gone(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    ear.wait(lambda h: h["full"])
    ear.say("view", active=False, charts={}, at=None)
    end = time.monotonic() + 20
    while TICKER.running and time.monotonic() < end:
        time.sleep(0.01)
    heard = len(ear.messages)
    ear.look("loss")
    ear.wait(lambda h: h["n"] > heard, full=True)
    recording.end()


def test_findings_name_the_charts_they_belong_to(store, ears):
    recording = record(store).go(100).find(10, 30)
    ear = ears(feed_of(store))
    ear.look("loss")
    head, _ = ear.wait(lambda h: h["findings"])
    [finding] = head["findings"]
    assert (finding["run"], finding["first"], finding["last"]) == (recording.run.id, 10, 30)
    assert finding["charts"] == ["loss"]
    recording.end()


def test_the_end_of_a_run_is_told_with_its_message(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    ear.wait(lambda h: h["runs"][0]["state"] == "running")
    recording.end("failed", "ValueError: the wave broke")
    head, _ = ear.wait(lambda h: h["runs"][0]["state"] == "failed")
    assert head["runs"][0]["message"] == "ValueError: the wave broke"
    assert any(line["level"] == "error" for line in head["log"])


def test_a_worker_that_is_killed_is_lost(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    ear.wait(lambda h: h["runs"][0]["state"] == "running")
    recording.lock.release()  # what the system does when its holder dies
    ear.wait(lambda h: h["runs"][0]["state"] == "lost")


def test_a_command_is_pending_until_it_is_decided_and_then_an_intervention(store, ears):
    from workbench.journal import CommandRecord, Inbox

    recording = record(store).go(100)
    ear = ears(feed_of(store))
    ear.look("loss")
    reply = ear.ask("set", values={"epsilon": 0.2})
    assert reply["ok"], reply
    assert reply["result"]["commands"] == {recording.run.id: 1}
    assert reply["result"]["at_step"] is None
    pending, _ = ear.wait(lambda h: h["runs"][0]["pending"])
    assert pending["runs"][0]["pending"][0]["values"] == {"epsilon": 0.2}
    [command] = Inbox(recording.run.dir).after(0)
    outcome = CommandRecord.of(command, "applied", step=101, old={"epsilon": 0.1}, new={"epsilon": 0.2})
    recording.writer.record_commands([outcome])
    head, _ = ear.wait(lambda h: h["interventions"])
    assert head["runs"][0]["values"]["epsilon"] == 0.2
    assert head["runs"][0]["pending"] == []
    done = head["interventions"][-1]
    assert (done["outcome"], done["step"], done["old"], done["source"]) == ("applied", 101, {"epsilon": 0.1}, "panel")
    recording.end()


def test_a_panel_without_runs_offers_the_start_form_and_picks_up_a_run_started_elsewhere(store, ears):
    ear = ears(feed_of(store))
    ear.look("loss")
    head, _ = ear.wait(lambda h: h["full"])
    assert head["runs"] == []
    assert chart(head, "loss")["empty"] == "No run of this experiment is shown."
    recording = record(store).go(10)
    ear.wait(lambda h: [r["id"] for r in h["runs"]] == [recording.run.id], full=True)
    recording.end()


def test_a_panel_opens_on_the_newest_active_group_with_its_arms_in_the_card_s_order(store):
    record(store, "half", group="old").go(10).end()
    mended, broken = record(store, "mended", group="new").go(10), record(store, "broken", group="new").go(10)
    assert feed_of(store).run_ids == [broken.run.id, mended.run.id]
    broken.end()
    mended.end()
    assert feed_of(store).run_ids == []


def test_forced_frames_are_full_at_the_rate_asked_for_though_nothing_changes(store, ears):
    recording = record(store).go(100)
    ear = ears(feed_of(store, force_hz=50))
    ear.look("loss")
    end = time.monotonic() + 20
    while len(ear.frames()) < 10 and time.monotonic() < end:
        ear.say("ack", n=10**6)
        time.sleep(0.005)
    assert all(h["full"] for h, _ in ear.frames())
    assert len(ear.frames()) >= 10
    recording.end()


def test_a_chart_that_cannot_be_drawn_says_why_and_the_others_go_on(store, ears):
    recording = record(store).go(100)
    recording.writer.append_array("boxes", [200], [0.0], [[1.0, 2.0, 3.0]])
    recording.writer.append([200], [0.0], {"loss": [1.0]})
    recording.writer.flush()
    ear = ears(feed_of(store))
    ear.look("loss", "boxes")
    head, _ = ear.wait(lambda h: h["full"])
    assert "must be (H, W)" in chart(head, "boxes")["empty"]
    assert chart(head, "loss")["empty"] is None
    recording.end()


def test_a_view_whose_carrier_is_gone_is_dropped(store):
    recording = record(store).go(100)
    feed = feed_of(store)

    def broken(head, buffers):
        raise OSError("Cannot send")

    feed.subscribe("v", {"charts": {}}, broken)
    end = time.monotonic() + 20
    while feed.interval != float("inf") and time.monotonic() < end:
        time.sleep(0.005)
    assert feed.interval == float("inf")
    recording.end()


def test_the_feed_imports_no_widget_and_nothing_heavy():
    code = (
        "import workbench.figures.feed, sys; "
        "print([m for m in ('ipywidgets', 'anywidget', 'torch', 'lightning', 'mlflow', 'pandas', 'plotly') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
