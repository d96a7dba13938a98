import pytest

from workbench.figures.views import GONE, HEARTBEAT, LEASE, REST, SLOW, Viewer, Wish

QUIET = ((1,), (1,))


def viewer(now=0.0, **more) -> Viewer:
    made = Viewer("v", lambda head, buffers: None, seen=now, **more)
    made.sent = made.sent_full = now
    made.data, made.news = QUIET
    made.wants_full = False
    return made


def test_a_fresh_view_is_due_a_full_frame():
    assert Viewer("v", lambda head, buffers: None, seen=0.0).due(0.0, *QUIET, 0.2) == "full"


def test_nothing_new_is_no_frame_until_the_heartbeat():
    view = viewer()
    assert view.due(HEARTBEAT / 2, *QUIET, 0.2) == ""
    assert view.due(HEARTBEAT, *QUIET, 0.2) == "light"


def test_new_data_is_a_full_frame_but_no_more_often_than_the_journal_is_flushed():
    view = viewer()
    assert view.due(0.1, (2,), (1,), 0.2) == ""
    assert view.due(0.2, (2,), (1,), 0.2) == "full"


def test_charts_that_are_dear_to_compute_come_less_often_but_each_second_at_least():
    view = viewer(cost=0.1)
    assert view.due(0.4, (2,), (1,), 0.2) == ""
    assert view.due(0.51, (2,), (1,), 0.2) == "full"
    view.cost = 3.0
    assert view.due(1.0, (2,), (1,), 0.2) == "full"


def test_a_decided_command_is_told_at_once():
    assert viewer().due(0.01, (2,), (2,), 0.2) == "light"


def test_a_hidden_view_gets_nothing_and_all_of_it_when_shown_again():
    view = viewer()
    view.show({"active": False, "charts": {}})
    assert view.due(100.0, (9,), (9,), 0.2) == ""
    view.show({"active": True, "charts": {}})
    assert view.due(100.0, (9,), (9,), 0.2) == "full"


def test_a_view_that_acknowledges_nothing_is_slowed_down_and_never_stopped():
    view = viewer(n=10, acked=6)
    assert view.due(SLOW * 0.9, (2,), (1,), 0.0) == ""
    assert view.due(SLOW, (2,), (1,), 0.0) == "full"
    view.acked = 7
    assert view.due(0.1, (2,), (1,), 0.0) == "full"


def test_a_view_whose_lease_ran_out_rests_with_a_heartbeat_and_falls_silent_at_last():
    view = viewer()
    now = LEASE + 1
    view.sent = view.sent_full = now
    assert view.due(now + 0.5, (2,), (1,), 0.2) == ""
    assert view.due(now + 1.0, (2,), (1,), 0.2) == "light"
    assert view.due(now + REST, (2,), (1,), 0.2) == "full"
    assert view.due(GONE + 1, (3,), (3,), 0.2) == ""
    view.seen = GONE + 1
    assert view.due(GONE + 1, (3,), (3,), 0.2) == "full"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, Wish()),
        ({"width": 320.6, "range": [1, 5], "component": 2, "run": "r"}, Wish(320, (1.0, 5.0), 2, "r")),
        ({"width": 0, "range": [5, 5], "component": None, "run": None}, Wish()),
        ({"width": 10**9}, Wish(8192)),
    ],
)
def test_a_wish_is_read_with_sane_limits(said, meant):
    assert Wish.of(said) == meant
