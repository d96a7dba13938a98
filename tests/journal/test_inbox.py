"""Commands from anybody to a worker."""

import subprocess
import sys

import pytest

from workbench.cards.errors import InvalidValue
from workbench.journal import Inbox, Reader
from workbench.journal.sqlite import connect


def test_an_inbox_nobody_wrote_to_is_empty_and_makes_no_file(rundir):
    inbox = Inbox(rundir)
    assert not inbox.changed()
    assert inbox.after(0) == []
    assert not rundir.inbox.exists()


def test_a_command_arrives_as_it_was_issued(rundir):
    sender, worker = Inbox(rundir), Inbox(rundir)
    first = sender.issue("set", {"values": {"epsilon": 0.2, "name": "ε"}}, at_step=7, source="notebook")
    second = sender.issue("pause")
    assert second > first
    assert worker.changed()
    assert not worker.changed()
    got, pause = worker.after(0)
    assert (got.seq, got.kind, got.at_step, got.source) == (first, "set", 7, "notebook")
    assert got.payload == {"values": {"epsilon": 0.2, "name": "ε"}}
    assert (pause.kind, pause.payload, pause.at_step) == ("pause", {}, None)
    assert worker.after(first) == [pause]
    sender.issue("resume")
    assert worker.changed()
    assert sender.changed()


@pytest.mark.parametrize(
    ("kind", "payload", "at_step", "words"),
    [
        ("fly", {}, None, "no command 'fly'"),
        ("set", {"values": object()}, None, "plain data"),
        ("pause", {}, -1, "at_step"),
    ],
)
def test_what_is_no_command_is_refused_in_words(rundir, kind, payload, at_step, words):
    with pytest.raises(InvalidValue, match=words):
        Inbox(rundir).issue(kind, payload, at_step=at_step)


def test_commands_of_several_processes_keep_their_order_and_none_is_lost(rundir):
    program = """
import sys
from workbench.journal import Inbox, RunDir
inbox = Inbox(RunDir(sys.argv[1]))
for i in range(40):
    inbox.issue("set", {"values": {"who": int(sys.argv[2]), "i": i}})
"""
    senders = [subprocess.Popen([sys.executable, "-c", program, rundir.path, str(n)]) for n in range(4)]
    worker, seen = Inbox(rundir), []
    while any(sender.poll() is None for sender in senders):
        if worker.changed():
            seen += worker.after(seen[-1].seq if seen else 0)
    assert [sender.returncode for sender in senders] == [0] * 4
    seen += worker.after(seen[-1].seq if seen else 0)
    assert [c.seq for c in seen] == list(range(1, 161))
    for who in range(4):
        assert [c.payload["values"]["i"] for c in seen if c.payload["values"]["who"] == who] == list(range(40))


def test_a_damaged_command_is_left_out_and_named(rundir):
    inbox = Inbox(rundir)
    for value in (1, 2, 3):
        inbox.issue("set", {"values": {"x": value}})
    inbox.close()
    connection = connect(rundir.inbox, mode="rw")
    connection.execute("UPDATE command SET payload = replace(payload, '2', '7') WHERE seq = 2")
    connection.close()
    assert [c.payload["values"]["x"] for c in inbox.after(0)] == [1, 3]
    assert "Command 2" in inbox.damage[0]
    assert any("Command 2" in text for text in Reader(rundir).damage)
