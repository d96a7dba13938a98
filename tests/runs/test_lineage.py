"""Who came from whom, and what a run has from its ancestors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runs.recorded import Recorded
from workbench.cards import UnknownName
from workbench.runs import Store
from workbench.runs.lineage import history, tree


def shape(nodes):
    return [(node.run.id, shape(node.children)) for node in nodes]


def test_forks_and_replays_stand_below_their_origin_in_order_of_the_forks_step():
    first = Recorded().train(10).end()
    late = Recorded(first=8, parent=first.id, fork_step=8).end()
    early = Recorded(first=2, parent=first.id, fork_step=2).end()
    replay = Recorded(replay_of=first.id).end()
    grandchild = Recorded(first=9, parent=late.id, fork_step=9).end()
    alone = Recorded().end()
    assert shape(tree(Store.find())) == [
        (alone.id, []),
        (first.id, [(replay.id, []), (early.id, []), (late.id, [(grandchild.id, [])])]),
    ]
    [_, root] = tree(Store.find())
    assert [(depth, node.run.id) for depth, node in root.walk()] == [
        (0, first.id), (1, replay.id), (1, early.id), (1, late.id), (2, grandchild.id),
    ]  # fmt: skip


def test_the_replay_of_a_fork_stands_below_the_fork():
    first = Recorded().end()
    fork = Recorded(first=5, parent=first.id, fork_step=5).end()
    replay = Recorded(first=5, parent=first.id, fork_step=5, replay_of=fork.id).end()
    assert shape(tree(Store.find())) == [(first.id, [(fork.id, [(replay.id, [])])])]


def test_a_run_whose_origin_is_gone_or_goes_in_circles_is_still_listed():
    orphan = Recorded(parent="20200101-000000-my-idea-gone", fork_step=3).end()
    knot = Recorded(parent="x", fork_step=3).end()
    text = knot.dir.config.read_text().replace("parent: x", f"parent: {knot.id}")
    knot.dir.config.write_text(text)
    assert sorted(shape(tree(Store.find()))) == [(orphan.id, []), (knot.id, [])]


def test_history_has_the_ancestors_points_before_the_fork_and_the_runs_own_from_it_on():
    def flat(value):
        return lambda steps: np.full(len(steps), value)

    first = Recorded().train(100, x=flat(1.0), old=flat(0.0)).end()
    child = Recorded(first=40, parent=first.id, fork_step=40).train(60, x=flat(2.0)).end()
    points = history(child, "x")
    assert points.steps.tolist() == list(range(100))
    assert points.values.tolist() == [1.0] * 40 + [2.0] * 60
    assert history(child, "old").steps.tolist() == list(range(40))
    assert history(first, "x").values.tolist() == [1.0] * 100
    with pytest.raises(UnknownName, match="Did you mean 'loss'"):
        history(child, "lass")


def test_history_of_arrays_keeps_their_shape():
    first = Recorded().train(10, v=lambda s: np.ones((len(s), 2))).end()
    child = Recorded(first=5, parent=first.id, fork_step=5).train(5, v=lambda s: np.zeros((len(s), 2))).end()
    assert history(child, "v").values.tolist() == [[1, 1]] * 5 + [[0, 0]] * 5


def test_a_fork_of_a_fork_at_a_step_before_the_latters_own_first_one_has_the_common_ancestors_steps():
    first = Recorded().train(100).end()
    fork = Recorded(first=50, parent=first.id, fork_step=50).train(50).end()
    deep = Recorded(first=30, parent=fork.id, fork_step=30).train(70).end()
    assert history(deep, "loss").steps.tolist() == list(range(100))


def test_without_its_parent_a_fork_has_its_own_points():
    fork = Recorded(first=50, parent="20200101-000000-my-idea-gone", fork_step=50).train(50).end()
    assert history(fork, "loss").steps.tolist() == list(range(50, 100))
