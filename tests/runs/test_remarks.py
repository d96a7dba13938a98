"""Names, stars and notes of runs."""

from __future__ import annotations

import pytest

from tests.runs.recorded import Recorded
from workbench.cards import InvalidValue
from workbench.runs import Store
from workbench.runs.remarks import all_remarks, annotate, remarks


def test_a_run_has_a_name_a_star_and_a_note_also_after_it_has_ended():
    run = Recorded().end()
    assert remarks(run) == {"name": "", "star": False, "note": "", "archived": False}
    annotate(run, name=" the good one ", star=True, note="lr too high?")
    assert annotate(run, archived=True) == {
        "name": "the good one", "star": True, "note": "lr too high?", "archived": True,
    }  # fmt: skip
    assert annotate(run, name="", star=False, archived=False) == {
        "name": "", "star": False, "note": "lr too high?", "archived": False,
    }  # fmt: skip
    with pytest.raises(InvalidValue, match="at most 80 characters"):
        annotate(run, name="x" * 81)
    with pytest.raises(InvalidValue, match="A name is one line"):
        annotate(run, name="two\nlines", star=True)
    assert not remarks(run)["star"]


def test_the_remarks_of_many_runs_are_kept_in_the_index_until_somebody_changes_them():
    store = Store.find()
    runs = [Recorded().end() for _ in range(3)]
    annotate(runs[1], star=True)
    first = all_remarks(store.path, runs)
    assert [first[r.id]["star"] for r in runs] == [False, True, False]
    assert all_remarks(store.path, runs) == first
    annotate(runs[2], archived=True)
    assert [all_remarks(store.path, runs)[r.id]["archived"] for r in runs] == [False, False, True]
    (store.path / "index.db").write_bytes(b"no database at all")
    assert all_remarks(store.path, runs)[runs[1].id]["star"]
    assert [r.state for r in store.runs()] == ["finished"] * 3
