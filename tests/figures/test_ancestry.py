"""A fork's charts: its own from the fork step on, its ancestors' before it."""

import numpy as np
import pytest

from tests.figures.recorded import CARD, feed_of, record
from workbench.figures.ancestry import ancestors, forget
from workbench.figures.charts import chart_data
from workbench.figures.requests import view_of
from workbench.runs import Run

FORK = 60


@pytest.fixture
def family(store):
    """A run of 100 steps, its fork at 60 (of another shape of curve), and a fork of that at 80."""
    parent = record(store, "mended").go(100)
    child = record(store, "half", first=FORK, parent=parent.run.id, fork_step=FORK).go(40)
    grandchild = record(store, "broken", first=80, parent=child.run.id, fork_step=80).go(20)
    made = [parent, child, grandchild]
    return [Run.open(r.end().run.dir) for r in made]


def draw(runs, view, **wish):
    return chart_data(CARD, runs, view_of(CARD, view), **wish)


def steps_of(data, line):
    return data.x.steps[np.isfinite(line.mean)]


def test_beside_its_parent_a_fork_is_drawn_from_the_fork_step_on(family):
    parent, child, _ = family
    data = draw([parent, child], "loss")
    lines = {line.run: line for line in data.series}
    assert steps_of(data, lines[parent.id])[[0, -1]].tolist() == [0, 99]
    assert steps_of(data, lines[child.id])[[0, -1]].tolist() == [FORK, 99]


def test_alone_a_fork_is_drawn_with_its_ancestors_past(family):
    parent, child, grandchild = family
    data = draw([grandchild], "loss")
    [line] = data.series
    expected = np.concatenate([parent["loss"].values[:60], child["loss"].values[:20], grandchild["loss"].values])
    assert line.mean[:100] == pytest.approx(expected)
    data = draw([parent, grandchild], "loss")
    [own] = [line for line in data.series if line.run == grandchild.id]
    assert steps_of(data, own)[0] == FORK, "the step from which on nobody else shows its past"


def test_a_bucket_in_which_a_fork_lies_holds_both_and_nothing_of_the_parents_future(family):
    parent, child, _ = family
    data = draw([child], "loss", width=4, range=(0, 99))
    [line] = data.series
    path = np.concatenate([parent["loss"].values[:60], child["loss"].values])
    assert line.mean == pytest.approx([part.mean() for part in path.reshape(4, 25)])
    assert line.lo == pytest.approx([part.min() for part in path.reshape(4, 25)])
    assert line.hi == pytest.approx([part.max() for part in path.reshape(4, 25)])


def test_before_the_fork_arrays_texts_and_pictures_are_the_parents(family):
    parent, child, _ = family
    for view in ("hist", "bars", "matrix", "boxes", "words"):
        theirs, mine = draw([parent], view, at=45), draw([child], view, at=45)
        assert mine.step == theirs.step, view
        assert (mine.step or 0) <= 45, view
    assert draw([child], "bars", at=45).series[0].values == pytest.approx(
        draw([parent], "bars", at=45).series[0].values
    )
    assert draw([child], "bars", at=70).series[0].values != pytest.approx(
        draw([parent], "bars", at=70).series[0].values
    )
    assert draw([child], "words", at=59).lines[0] == "certified at 40"


def test_between_the_fork_and_its_own_first_array_the_last_of_the_parent_stands(store):
    parent = record(store, "mended").go(100)
    child = record(store, "mended", first=70, parent=parent.run.id, fork_step=70).go(5)  # margins come each 20 steps
    data = draw([child.run], "hist")
    assert data.step == 60
    parent.end(), child.end()


def test_a_signal_that_the_fork_has_not_recorded_yet_is_drawn_from_the_parent(store):
    parent = record(store, "mended").go(100)
    child = record(store, "mended", first=70, parent=parent.run.id, fork_step=70)
    data = draw([child.run], "error")
    assert {line.label for line in data.series} == {"verified", "PGD"}
    assert steps_of(data, data.series[0])[[0, -1]].tolist() == [0, 60]
    parent.end(), child.end()


def test_a_deleted_parent_leaves_the_forks_own_steps(family):
    parent, child, _ = family
    parent.dir.config.unlink()
    assert ancestors(child) == ()
    data = draw([child], "loss")
    assert steps_of(data, data.series[0])[0] == FORK
    forget(child)


def test_stacked_areas_and_heat_maps_of_a_fork_go_back_to_the_first_step(family):
    parent, child, _ = family
    area = draw([parent, child], "states", run=child.id)
    assert steps_of(area, area.series[0])[0] == 0
    heat = draw([parent, child], "heat", run=child.id)
    assert np.isfinite(heat.values.reshape(len(heat.rows), -1)[:, 0]).all()


def test_frames_carry_the_lineage_and_name_the_fork(store):
    parent = record(store, "mended").go(100)
    child = record(store, "mended", first=FORK, parent=parent.run.id, fork_step=FORK).go(20)
    replay = record(store, "mended", replay_of=parent.run.id).go(10)
    feed = feed_of(store)
    with feed.borrowed():
        runs = {r["id"]: r for r in feed.state()["runs"]}
    told = {k: (r["kind"], r["parent"], r["fork_step"], r["label"]) for k, r in runs.items()}
    assert told == {
        parent.run.id: ("", "", None, "mended"),
        child.run.id: ("fork", parent.run.id, FORK, f"fork at {FORK}"),
        replay.run.id: ("replay", parent.run.id, None, "replay of mended"),
    }
    assert len({r["color"] for r in runs.values()}) == 3
    assert all(r["disk"] > 0 for r in runs.values())
    for r in (parent, child, replay):
        r.end()
