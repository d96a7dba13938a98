"""The loop: without a filter it is GRPO on what was drawn first, and a step without a batch moves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from workbench.methods.reinforcement._shared import advantages
from workbench.methods.reinforcement._shared.loop import parts
from workbench.methods.reinforcement.difficulty_filter import module
from workbench.methods.reinforcement.difficulty_filter.knobs import DifficultyFilter
from workbench.methods.reinforcement.difficulty_filter.shown import DIGITS
from workbench.models.optim import make_optimizer
from workbench.signals import listen


class Session:
    """Random streams by name and keys, and nothing else."""

    seed, step = 0, 0

    def __init__(self) -> None:
        self.registered: dict[str, Any] = {}

    def rng(self, *keys: Any) -> np.random.Generator:
        return np.random.default_rng([ord(letter) for letter in repr(keys)])

    def torch_rng(self, *keys: Any) -> torch.Generator:
        return torch.Generator().manual_seed(int(self.rng(*keys).integers(2**62)))

    def register(self, **objects: Any) -> None:
        self.registered.update(objects)

    def probe(self, name: str, run: Any) -> None:
        pass


@pytest.fixture
def make(monkeypatch):
    """An experiment that starts from weights that were only drawn."""
    drawn = module.Decoder(context=module.CONTEXT, generator=torch.Generator().manual_seed(0)).state_dict()
    monkeypatch.setattr(module.stages, "weights", lambda *_, **__: drawn)
    return lambda **knobs: module.Experiment(DifficultyFilter(prompts=4, steps=8, evaluation=2, **knobs), Session())


@pytest.fixture
def emitted():
    """What is emitted, by name."""
    found: dict[str, Any] = {}
    listen(found.__setitem__)
    yield found
    listen(None)


def easy(prompts, responses):
    """A verifier that even random weights please now and then: an even first token."""
    return (responses[:, 0] % 2 == 0).astype(float)


def weights(experiment) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in experiment.loop.policy.parameters()])


def test_without_a_filter_a_step_is_grpo(make, emitted):
    mine, plain = make(filter=False), make(filter=False)
    for experiment in (mine, plain):
        experiment.loop.verify = easy
    mine.step(0)
    c, session = plain.config, plain.session
    prompts = plain._prompts(0, 0).repeat(c.group_size)
    generator = session.torch_rng("method", "rollout", 0, 0)
    batch = plain.loop.sample(prompts, max_new=module.MAX_NEW, temperature=1.0, generator=generator)
    each = advantages.group_advantages(torch.from_numpy(batch.rewards).float(), c.group_size)
    order = parts(len(prompts), 1, c.minibatches, session.torch_rng("method", "policy", 0))
    optimizer = make_optimizer(c.optimizer, plain.loop.policy.parameters())
    plain.loop.improve(batch, each[:, None] * batch.mask, optimizer, order, temperature=1.0, grad_clip=1.0)
    assert torch.equal(weights(mine), weights(plain))
    assert emitted["filled"] == 1
    assert emitted["rollouts"] == 4 * c.group_size


def test_a_full_batch_lies_inside_the_band_and_what_is_thrown_away_is_counted(make, emitted):
    experiment = make(t_low=0.25, t_high=0.75, max_draws=10)
    experiment.loop.verify = easy
    experiment.step(0)
    assert emitted["filled"] == 1
    assert emitted["effective_batch"] == 1
    assert 0.25 <= emitted["pass_rate_kept"] <= 0.75
    drawn = int(np.sum(emitted["pass_rate_hist"]))
    assert emitted["rollouts"] == drawn * experiment.config.group_size


def test_a_step_without_a_batch_moves_nothing_and_filled_says_so(make, emitted):
    experiment = make()
    experiment.loop.verify = lambda prompts, responses: np.zeros(len(responses))
    before = weights(experiment)
    experiment.step(0)
    assert torch.equal(weights(experiment), before)
    assert emitted["filled"] == 0
    assert "policy_loss" not in emitted
    assert all(np.isfinite(v).all() for v in emitted.values())


def test_the_curriculum_goes_from_one_digit_to_eight(make):
    experiment = make(order="easy_first", filter=False)
    sizes = [set(experiment._prompts(step, 0).sizes.tolist()) for step in range(8)]
    assert sizes == [{n} for n in range(1, DIGITS + 1)]


def test_the_cost_survives_a_checkpoint(make):
    spent = module.Spent()
    spent.rollouts, spent.seconds = 256, 1.5
    other = module.Spent()
    other.load_state_dict(spent.state_dict())
    assert vars(other) == vars(spent)
