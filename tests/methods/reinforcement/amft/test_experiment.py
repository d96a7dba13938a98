"""The whole experiment: exact, mu as each schedule says, the controller's steps, and what is refused."""

from __future__ import annotations

import contextlib
import warnings
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from workbench.cards import card
from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared import advantages
from workbench.methods.reinforcement._shared.vocabulary import FORBIDDEN
from workbench.methods.reinforcement.amft import claims
from workbench.methods.reinforcement.amft.controller import cosine
from workbench.methods.reinforcement.amft.module import Experiment, Lowest
from workbench.methods.reinforcement.amft.prompts import draw
from workbench.runs import Store, compose, launch

EXPERIMENT = "reinforcement/amft"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Twelve steps of SFT, then RL, and of the controller."""
    store = Store(tmp_path_factory.mktemp("amft") / "store")
    overrides = {"run.checkpoint_every": 3, "tracking": "off"}
    made = {a: launch(EXPERIMENT, arm=a, preset="smoke", store=store, overrides=overrides) for a in ("sft_rl", "amft")}
    for run in made.values():
        assert run.wait(240) == "finished", run.message
    return made


def test_mu_is_one_and_then_nothing_under_the_switch(runs):
    run = runs["sft_rl"]
    np.testing.assert_array_equal(run.reader.scalars("mixing_weight").values, [1.0] * 6 + [0.0] * 6)
    assert not run.reader.scalars("meta_drive").values.any()
    assert "meta_gradient" not in run.reader.names()


def test_a_controller_moves_mu_by_what_it_says_every_other_step_after_the_warm_up(runs):
    run = runs["amft"]
    mu, drives = (run.reader.scalars(n).values for n in ("mixing_weight", "meta_drive"))
    drives = drives + run.reader.scalars("entropy_drive").values
    assert mu[:2].tolist() == [1.0, 1.0]
    assert run.reader.scalars("meta_gradient").steps.tolist() == [2, 4, 6, 8, 10]
    np.testing.assert_allclose(np.diff(mu[2:]), drives[2:-1], atol=1e-12)
    assert not drives[[0, 1, 3, 5]].any()


def test_a_fork_may_take_mu_from_the_controller(runs):
    held = runs["amft"].fork(7, controller="off", mu=0.3)
    assert held.wait(240) == "finished", held.message
    mu = held.reader.scalars("mixing_weight")
    np.testing.assert_array_equal(mu.values[mu.steps >= 7], 0.3)


class Session:
    """Enough of a session for the training code: random numbers by name and keys, nothing kept."""

    seed, step = 0, 0

    def rng(self, name, *keys):
        return np.random.default_rng(zlib.crc32(repr((name, *keys)).encode()))

    def torch_rng(self, name, *keys):
        return torch.Generator().manual_seed(zlib.crc32(repr((name, *keys)).encode()))

    def isolated(self):
        return contextlib.nullcontext()

    def register(self, **objects): ...

    def probe(self, name, run): ...


@pytest.fixture(scope="module")
def experiment():
    config = card(EXPERIMENT).config()
    for name, value in card(EXPERIMENT).preset("smoke").overrides.items():
        setattr(config, name, value)
    return Experiment(config, Session())


def sampled(experiment):
    prompts = draw(np.random.default_rng(0), 16, held=False).repeat(4)
    batch = experiment.loop.sample(prompts, max_new=24, temperature=1.0, generator=torch.Generator().manual_seed(0))
    advantage = advantages.group_advantages(torch.from_numpy(batch.rewards).float(), 4)[:, None] * batch.mask
    return batch, advantage


def test_the_update_is_along_the_gradient_of_the_weighed_sum_clipped(experiment):
    batch, advantage = sampled(experiment)
    taught, mu = experiment.traces[:16], 0.3
    loss = (1 - mu) * experiment._reinforced(batch, advantage).loss + mu * experiment._imitated(taught)
    whole = experiment._gradient(loss)
    experiment.config.passes, experiment.config.grad_clip = 1, 0.1
    moved = experiment._update(mu, batch, advantage, taught).means()
    assert moved["grad_norm"] == pytest.approx(float(whole.norm()), rel=1e-4)
    used = parameters_to_vector([p.grad for p in experiment.parameters])
    torch.testing.assert_close(used, whole * (0.1 / whole.norm()), atol=1e-5, rtol=1e-3)


def test_the_utilitys_gradient_is_that_of_the_chance_of_a_reward(experiment, monkeypatch):
    """With one token a response, and a reward for a digit up to 4, the chance is known without sampling."""
    monkeypatch.setattr(experiment.config, "max_new", 1)
    monkeypatch.setattr(experiment.config, "validation", 512)
    monkeypatch.setattr(experiment.loop, "verify", lambda prompts, given: (given[:, 0] < 5).astype(float))
    found = experiment._utility_gradient(3)
    prompts = torch.from_numpy(draw(experiment.session.rng("method", "validation", 3), 512, held=True).tokens)
    logits = experiment.policy(prompts)[:, -1].index_fill(1, torch.tensor(FORBIDDEN), -1e9)
    exact = experiment._gradient(logits.softmax(-1)[:, :5].sum(1).mean())
    assert cosine(found, exact) > 0.9
    assert float(found.norm() / exact.norm()) == pytest.approx(1, abs=0.3)


def test_looking_ahead_leaves_the_policy_as_it_was(experiment):
    batch, advantage = sampled(experiment)
    before = {n: t.clone() for n, t in experiment.policy.state_dict().items()}
    assert experiment._meta_gradient(4, 0.5, batch, advantage, experiment.traces[:16]) is not None
    for name, tensor in experiment.policy.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_groups_that_are_all_equal_skip_the_meta_step_and_say_so_once(experiment):
    batch, advantage = sampled(experiment)
    count, mu = experiment.controller.count, experiment.controller.mu
    with pytest.warns(UserWarning, match="all responses of each group got the same reward"):
        assert experiment._meta_gradient(4, 0.5, batch, advantage * 0, experiment.traces[:16]) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert experiment._meta_gradient(6, 0.5, batch, advantage * 0, experiment.traces[:16]) is None
    assert (experiment.controller.count, experiment.controller.mu) == (count, mu)
    assert experiment.controller.skipped == 2


def test_the_rise_is_counted_from_the_lowest_so_far():
    lowest = Lowest()
    assert lowest.rise(0.5) == 0
    for value in (0.5, 0.4, 0.6):
        lowest.take(value)
    assert lowest.rise(0.3) == 0
    again = Lowest()
    again.load_state_dict(lowest.state_dict())
    assert again.rise(0.5) == pytest.approx(0.25)


def test_claims_measure_the_ends_their_spread_and_the_fall_of_mu():
    def ended(accuracy, mu=(1.0, 0.5, 0.2)):
        found = {"eval_accuracy_ood": [0.0, *accuracy], "mixing_weight": mu}
        return {name: SimpleNamespace(values=np.array(values)) for name, values in found.items()}

    assert claims.ood(ended([0.5, 0.6, 0.7])) == pytest.approx(0.6)
    assert claims.fall(ended([0.5] * 3)) == pytest.approx(0.3)
    assert claims.fall(ended([0.5] * 3, mu=[1.0, 1.0])) == 0
    seeds = [[ended([a] * 3), ended([b] * 3)] for a, b in ((0.5, 0.4), (0.6, 0.8))]
    assert claims.ood_spread(seeds) == pytest.approx((0.1 - 0.4) / 2**0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mu": 1.5}, "mu must lie between 0 and 1"),
        ({"group_size": 1}, "group_size must lie between 2 and 64"),
        ({"group_size": 16, "batch_size": 40}, "group_size must divide batch_size; got 16 and 40"),
        ({"sft_batch": 128}, "sft_batch must not exceed traces"),
        ({"mu_min": 0.6, "mu_max": 0.4}, "mu_min must not exceed mu_max; got 0.6 and 0.4"),
    ],
)
def test_bad_settings_are_refused_before_the_first_step(changes, words):
    with pytest.raises(InvalidValue, match=words):
        compose(EXPERIMENT, preset="smoke", overrides=changes)


def test_a_run_that_ends_in_its_warm_up_says_so():
    with pytest.warns(UserWarning, match="it only imitates"):
        compose(EXPERIMENT, overrides={"steps": 8})
