"""SIGKILL of the worker at any moment: lost at once, nothing seen is missing, and the run ends as if undisturbed."""

import contextlib
import hashlib
import itertools
import json
import random
import sqlite3
import statistics
import time

import numpy as np
import pytest

from tests.faults import deadly
from tests.faults.harness import PATIENCE, answered, end, kill, module, pid_of, start, times, until, whole
from workbench.cards.errors import NotAllowed
from workbench.journal import Reader

KILLS = {"faults/plain": times(4, 140), "faults/lightning": times(2, 70)}
A_RUN = {"faults/plain": times(4, 10), "faults/lightning": times(2, 5)}  # kills of one run, at most
STEPS = times(250, 600)


class Account:
    """What a witness, a process of its own, writes down of a run while this is open."""

    def __init__(self, run, folder):
        self.run, self.path = run, folder / f"{run.id}.account"

    def __enter__(self):
        self.witness = module("witness", self.run.dir.path, self.path)
        return self

    def __exit__(self, *_):
        end(self.witness)

    def lines(self):
        if not self.path.exists():
            return []
        whole, _, _ = self.path.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def lost_at(self, after):
        """When the run was seen as lost, on the monotonic clock, after a kill at `after`; None: not yet."""
        return next((line["at"] for line in self.lines() if line.get("state") == "lost" and line["at"] >= after), None)


def compared(account, run):
    """How many values and records the witness saw; each of them is in the journal, as it was seen."""
    reader = Reader(run.dir)
    assert set(reader.damage) <= (set() if reader.meta else {"journal.db is empty."})  # killed while it made the file
    seen = {"values": 0, "records": 0}
    now = {name: (reader.scalars if kind == "scalar" else reader.arrays)(name) for name, kind in reader.names().items()}
    kept = {what: {row.id: plain(vars(row)) for row in getattr(reader, what)()}
            for what in ("commands", "events", "checkpoints")}  # fmt: skip
    for line in account.lines():
        assert "error" not in line, line
        for name, (steps, values) in line.get("values", {}).items():
            places = np.searchsorted(now[name].steps, steps)
            np.testing.assert_array_equal(now[name].steps[places], steps)
            if name != "cpu":  # the one signal that a repeated step need not repeat
                np.testing.assert_array_equal(now[name].values[places], np.asarray(values, now[name].values.dtype))
            seen["values"] += len(steps)
        for what, rows in kept.items():
            for row in line.get(what, ()):
                assert rows[row["id"]] == row
                seen["records"] += 1
    files = {row["path"]: row for row in kept["checkpoints"].values() if (run.dir.checkpoints / row["path"]).exists()}
    newest = max(kept["checkpoints"].values(), key=lambda row: row["id"], default=None)
    if newest is not None:
        file = (run.dir.checkpoints / newest["path"]).read_bytes()
        assert (len(file), hashlib.sha256(file).hexdigest()) == (newest["size"], newest["sha256"])
    reader.close()
    return seen, len(files)


def plain(row):
    """As it comes back from the account."""
    return json.loads(json.dumps(row))


def open_transaction(run):
    """Whether the log ends in frames that no commit follows: the kill fell into the writing of metrics or records."""
    with contextlib.suppress(FileNotFoundError):
        log = run.dir.journal.with_name("journal.db-wal").read_bytes()
        page, salts = int.from_bytes(log[8:12], "big"), log[16:24]
        frames = [log[at : at + 24] for at in range(32, len(log) - page - 23, page + 24)]
        mine = [frame for frame in frames if frame[8:16] == salts]
        return bool(mine) and int.from_bytes(mine[-1][4:8], "big") == 0
    return False


def disturb(run, draw):
    """Something that people do while it trains; nothing, once it is dead."""
    with contextlib.suppress(NotAllowed):
        if draw.random() < 0.5:
            run.set(strength=float(draw.randint(1, 50)))
        else:
            run.action("shrink")


def killed_at_random(run, draw, counts):
    """SIGKILL at a random moment, and what it fell into; when, on the monotonic clock. None: it had ended before."""
    moment = time.monotonic() + draw.uniform(0, 1.2)
    while time.monotonic() < moment and not run.ended:
        time.sleep(draw.uniform(0, 0.3))
        disturb(run, draw)
    if run.ended:
        return None
    early = run.step < 0
    try:
        killed = kill(run)
    except ProcessLookupError:  # it ended by itself in between
        return None
    if run.wait(PATIENCE) == "finished":
        return None
    assert run.state == "lost"
    counts["kills"] += 1
    counts["before_the_first_step"] += early
    counts["inside_a_checkpoint_write"] += bool(list(run.dir.checkpoints.glob("*.part")))
    counts["inside_a_transaction"] += open_transaction(run)
    if run.dir.journal.exists():
        with contextlib.closing(sqlite3.connect(run.dir.journal)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    return killed


@pytest.mark.parametrize("experiment", list(KILLS))
def test_a_killed_worker_loses_nothing_that_was_seen_and_goes_on_to_the_same_bits(experiment, tmp_path, tell):
    draw = random.Random(experiment)
    delays, counts = [], dict.fromkeys(("kills", "before_the_first_step", "inside_a_checkpoint_write",
                                        "inside_a_transaction", "runs", "bit_identical"), 0)  # fmt: skip
    totals = {"values": 0, "records": 0}
    while counts["kills"] < KILLS[experiment]:
        every, flush = draw.choice((1, 2, 3, 7)), draw.choice((1, 20, 250))
        run = start(experiment, steps=STEPS, run__checkpoint_every=every, run__flush_ms=flush, pace=2)
        counts["runs"] += 1
        with Account(run, tmp_path) as account:
            for _ in range(min(A_RUN[experiment], KILLS[experiment] - counts["kills"])):
                if not (killed := killed_at_random(run, draw, counts)):
                    break
                seen = until(lambda account=account, killed=killed: account.lost_at(killed), "the witness", run)
                delays.append(seen - killed)
                compared(account, run)
                run.restart()
                until(lambda run=run: pid_of(run) or run.ended, "the new worker", run)
            assert run.wait(PATIENCE) == "finished", run.message
        finished_well(run)
        more, _ = compared(account, run)
        totals = {k: totals[k] + more[k] for k in totals}
        replay = run.replay()
        assert replay.wait(PATIENCE) == "finished", replay.message
        same = run.identical_to(replay)
        assert same, f"{run.id}: {same}"
        counts["bit_identical"] += 1
    tell(
        "1" + "ab"[experiment.endswith("lightning")],
        f"SIGKILL of the worker at random moments, {experiment.split('/')[1]}",
        "the run is lost, the journal opens, no value, command, event or checkpoint that another process saw is "
        "missing; restarted, the run ends with the metrics, arrays and weights of a replay that nobody killed",
        **counts, values_seen_and_found=totals["values"], records_seen_and_found=totals["records"],
        lost_after=f"{1e3 * statistics.median(delays):.0f} ms (median), {1e3 * max(delays):.0f} ms (worst)",
    )  # fmt: skip


def finished_well(run):
    """Every step and the outcome of every command is there; no attempt contradicted the one before."""
    assert run.reader.meta["exact"]["ok"], run.reader.meta["exact"]
    whole(run, 0, STEPS - 1)
    answered(run, len(run.interventions))
    assert run.pending == []
    assert [e.payload for e in run.reader.events(["warning"])] == []
    assert {p.name for p in run.dir.checkpoints.iterdir()} <= {row.path for row in run.reader.checkpoints()}


@pytest.mark.parametrize("experiment", list(KILLS))
def test_a_worker_killed_inside_a_flush_or_a_checkpoint_goes_on_to_the_same_bits(experiment, monkeypatch, tell):
    def begun(order):
        with monkeypatch.context() as patch:
            patch.setenv(deadly.VARIABLE, order)
            return start(experiment, steps=60, pace=1, run__checkpoint_every=2, run__flush_ms=10)

    undisturbed = start(experiment, steps=60, pace=1)
    assert undisturbed.wait(PATIENCE) == "finished"
    numbers = range(1, 1 + times(1, 15))
    kills = dict.fromkeys(("flush", "file", "row"), 0)
    for moment, number in itertools.product(kills, numbers):
        run = begun(f"{moment} {number + 1}")
        state = run.wait(PATIENCE)
        if state == "finished":  # a fast machine flushes fewer times
            continue
        assert state == "lost"
        kills[moment] += 1
        assert Reader(run.dir).damage == []
        run.restart()
        assert run.wait(PATIENCE) == "finished", run.message
        whole(run, 0, 59)
        assert [e.payload for e in run.reader.events(["warning"])] == []
        known = {row.path for row in run.reader.checkpoints()}
        assert {p.name for p in run.dir.checkpoints.iterdir()} <= known  # nothing of the killed one lies about
        same = run.identical_to(undisturbed)
        assert same, f"{run.id}: {same}"
    assert all(kills.values())
    tell(
        "1" + "cd"[experiment.endswith("lightning")],
        f"SIGKILL inside a flush and inside the writing of a checkpoint, {experiment.split('/')[1]}",
        "the journal opens; restarted, the run ends with the metrics, arrays and weights of an undisturbed one",
        inside_a_flush=kills["flush"], before_a_checkpoint_has_its_name=kills["file"],
        before_the_journal_knows_a_checkpoint=kills["row"], bit_identical=sum(kills.values()),
    )  # fmt: skip
