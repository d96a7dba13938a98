"""The whole experiment: exact inside a task, the average where adapters are used again, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.cards.errors import InvalidValue
from workbench.runs import Store, compose, launch

OFF = {"tracking": "off"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One adapter with its average, checkpoints inside the tasks (7 steps each)."""
    store = Store(tmp_path_factory.mktemp("coin") / "store")
    made = launch(
        "continual/coin", arm="dynamic", preset="smoke", store=store, overrides={"run.checkpoint_every": 10, **OFF}
    )
    assert made.wait(240) == "finished", made.message
    return made


def test_the_average_runs_from_the_second_task_on(run):
    steps = run.reader.arrays("alpha").steps
    assert steps.tolist() == list(range(7, 42))
    assert run.reader.arrays("alpha_raw").steps.tolist() == [s for s in range(7, 42) if s % 7]  # not a task's first


def test_a_fork_inside_a_task_goes_on_to_the_same_bits(run):
    child = run.fork(20)
    assert child.wait(240) == "finished", child.message
    assert run.identical_to(child), str(run.identical_to(child))


def test_a_moved_factor_moves_the_average_and_not_the_training_of_that_task(run):
    child = run.fork(17, factor=0.001)
    assert child.wait(240) == "finished", child.message
    a, b = (r.reader.arrays("alpha_raw") for r in (run, child))
    at = int(np.flatnonzero(a.steps == 17)[0])
    mine, theirs = (dict(zip(p.steps.tolist(), p.values, strict=True)) for p in (a, b))
    np.testing.assert_allclose(theirs[17], mine[17] / 50, rtol=1e-6)
    losses = [r.reader.scalars("loss") for r in (run, child)]
    own = dict(zip(losses[1].steps.tolist(), losses[1].values.tolist(), strict=True))
    assert [own[s] for s in range(17, 21)] == losses[0].values[17:21].tolist()  # theta* does not feed back
    assert own[21] != losses[0].values[21]  # until it replaces the weights
    assert at > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": 1.5}, "threshold must lie between 0 and 1"),
        ({"batch_size": 600}, "batch_size must not exceed train_images; got 600 and 500"),
        ({"rank": 0}, "rank must lie between 1 and 64"),
        ({"mode": "ema"}, "mode must be one of none, fixed, dynamic"),
        ({"fallback": 0.9}, r"fallback must lie between 0\.0001 and 0\.5"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("continual/coin", preset="smoke", overrides=changes)
