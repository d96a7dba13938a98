"""The experiment: every strategy goes on exactly from a checkpoint, sliders act, bad settings are refused."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.cards.errors import InvalidValue
from workbench.cards.parts import names
from workbench.methods.multimodal._shared.knobs import STRATEGIES
from workbench.runs import Store, compose, launch

OFF = {"tracking": "off"}


def finished(run):
    assert run.wait(240) == "finished", f"{run.message}\n{run.dir.log.read_text()}"
    return run


def smoke(store, **changes):
    changes = {name.replace("__", "."): value for name, value in changes.items()}
    return finished(launch("multimodal/arl", preset="smoke", store=store, overrides={**OFF, **changes}))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("arl") / "store")


def test_a_fork_inside_an_epoch_of_a_strategy_with_a_memory_is_exact(store):
    run = smoke(store, method="ogm_ge", run__checkpoint_every=5)
    child = finished(run.fork(6))
    assert run.identical_to(child), str(run.identical_to(child))


def test_the_strategy_changes_with_the_next_epoch_and_the_noise_at_once(store):
    run = smoke(store, method="joint")
    batches = int(np.flatnonzero(run["epoch"].values == 1)[0])
    child = finished(run.fork(batches - 1, method="uniform"))
    weights = child.reader.arrays("loss_weights")
    assert weights.steps[0] == batches - 1
    assert weights.values[:, 1].tolist() == [0] + [1] * (run.steps - batches)
    noisy = finished(run.fork(batches - 1, noise_v=4.0)).reader.scalars("loss_fused")
    assert noisy.steps[0] == batches - 1
    assert noisy.values[0] != run["loss_fused"].values[batches - 1]


def test_a_modality_that_is_silent_adds_nothing(store):
    run = smoke(store, gain_v=0.0, eval_every=4)
    table = run.reader.array_at("missing")[1]
    assert table.shape == (3, 2)
    assert table[0, 1] == table[1, 1]  # its input is its mean all along
    chance = run["solo_v"].values
    assert (chance < 20).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gamma": -1}, "gamma must lie between 0 and 8; got -1"),
        ({"batch_size": 1}, "batch_size must lie between 2 and 512 samples; got 1"),
        ({"batch_size": 128}, "batch_size must not exceed n_train; got 128 and 100 samples"),
        ({"entropy_clip": 0.5}, "entropy_clip must lie between 0 and 0.49"),
        ({"noise_a": 5}, "noise_a must lie between 0 and 4 deviations"),
        ({"gain_v": 3}, "gain_v must lie between 0 and 2"),
        ({"coefficients": "learned"}, "coefficients must be one of arl, constant, reversed, off"),
        ({"pair": "smell"}, "pair must be one of pix_fou"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose("multimodal/arl", preset="smoke", overrides=changes)


def test_every_strategy_is_a_choice():
    assert set(names(STRATEGIES)) == {"joint", "uniform", "ogm", "ogm_ge", "gblend", "pmr", "mmpareto", "arl"}
    assert names(STRATEGIES, first="arl")[0] == "arl"
