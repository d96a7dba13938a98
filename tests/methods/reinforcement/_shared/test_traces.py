"""Traces: responses alone are imitated, and every epoch goes through all of them in another order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.tasks import chain
from workbench.methods.reinforcement._shared.traces import imitation, rows, written
from workbench.methods.reinforcement._shared.vocabulary import PAD, SIZE


def logits(tokens: torch.Tensor) -> torch.Tensor:
    """Of a model that knows nothing of what came before, and prefers some tokens."""
    return torch.linspace(-1, 1, SIZE).expand(*tokens.shape, SIZE)


def test_the_loss_is_of_the_responses_tokens_alone():
    prompts = chain.sample(np.random.default_rng(0), 6, reasoning=1.0)
    taught, start = written(np.random.default_rng(1), prompts, "short"), prompts.tokens.shape[1]
    assert torch.equal(taught[:, :start], torch.from_numpy(prompts.tokens))
    said = taught[:, start:]
    surprise = -logits(said).log_softmax(-1).gather(-1, said.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(imitation(logits, taught, start), surprise[said != PAD].mean())


def test_an_epoch_takes_every_trace_once_but_those_left_over_and_the_next_another_order():
    def torch_rng(*keys):
        return torch.Generator().manual_seed(keys[-1] + 1)

    session = SimpleNamespace(torch_rng=torch_rng)
    first, second = (torch.cat([rows(session, step, 14, 4) for step in steps]) for steps in ((0, 1, 2), (3, 4, 5)))
    for epoch in (first, second):
        assert len(set(epoch.tolist())) == 12
    assert not torch.equal(first, second)


def test_responses_that_are_all_empty_are_refused():
    taught = torch.full((3, 9), PAD)
    taught[:, :7] = 4
    with pytest.raises(InvalidValue, match="nothing to imitate: all 3 responses are empty"):
        imitation(logits, taught, 7)
