"""What a step shows is what is declared, and what a broken verifier costs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from workbench.methods.reinforcement._shared import shown
from workbench.methods.reinforcement._shared.loop import Loop, Verifier, parts
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.tasks import task
from workbench.signals import listen


@pytest.fixture
def emitted():
    """What is emitted, by name."""
    found: dict[str, Any] = {}
    listen(found.__setitem__)
    yield found
    listen(None)


@pytest.mark.parametrize("kinds", [False, True])
def test_a_step_shows_what_is_declared(emitted, kinds):
    policy, reference = (Decoder("xs", generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    loop = Loop(policy, reference, task("chain"))
    prompts = task("chain").sample(np.random.default_rng(0), 16, reasoning=0.5)
    batch = loop.sample(prompts, max_new=8, temperature=1.0, generator=torch.Generator().manual_seed(0))
    advantage = torch.ones(16, 1) * batch.mask
    order = parts(16, 1, 2, torch.Generator().manual_seed(0))
    moved = loop.improve(batch, advantage, torch.optim.SGD(policy.parameters(), lr=0.1), order, temperature=1.0,
                         grad_clip=1.0)  # fmt: skip
    loop.show(batch, advantage, moved, kinds=kinds)
    own = {"policy_loss", "grad_norm"}
    two = {f"{what}_{kind}" for what in ("reward", "length") for kind in ("reasoning", "chat")} if kinds else set()
    assert set(emitted) == {signal.name for signal in shown.signals()} | own | two
    assert emitted["length_hist"].sum() == 16
    assert len(emitted["length_hist"]) == shown.LENGTHS[2]


def test_declared_signals_carry_the_methods_words():
    found = {s.name: s for s in shown.signals("rollout", "the pretrained policy", only="the second stage")}
    assert {s.only for s in found.values()} == {"the second stage"}
    assert found["length"].meaning == "mean length of a rollout, <eos> included"
    assert "the pretrained policy" in found["kl_k1"].meaning


def test_a_verifier_that_fails_costs_the_response_its_reward_and_is_said_once():
    chain = task("chain")

    def verify(prompts, responses, mask=None):
        if len(prompts) > 1 or prompts.sizes[0] == 3:
            raise ZeroDivisionError("no gold answer")
        return np.ones(len(prompts))

    prompts = chain.sample(np.random.default_rng(0), 12)
    responses = np.zeros((12, 5), dtype=np.int64)
    check = Verifier(SimpleNamespace(verify=verify))
    with pytest.warns(UserWarning, match="no gold answer.*reward 0") as said:
        rewards = check(prompts, responses)
    assert len(said) == 1
    assert ((rewards == 0) == (prompts.sizes == 3)).all()
    assert check(prompts, responses).sum() == rewards.sum()  # and not said again
