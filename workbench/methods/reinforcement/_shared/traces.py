"""A teacher's traces: written, learned from batch by batch, and the loss of imitating them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.cards.protocols import SessionProtocol
from workbench.methods.reinforcement._shared.tasks import Prompts, chain
from workbench.methods.reinforcement._shared.vocabulary import PAD, padded


def written(rng: np.random.Generator, prompts: Prompts, style: str, **how: Any) -> Tensor:
    """Prompts and the teacher's responses (n, P+T), `<pad>` behind them; `how` is of `chain.teacher`."""
    given = chain.teacher(rng, prompts, style, **how)
    return torch.from_numpy(padded([p + r for p, r in zip(prompts.tokens.tolist(), given, strict=True)]))


def rows(session: SessionProtocol, step: int, traces: int, batch: int) -> Tensor:
    """(batch,) which traces a step learns from: every epoch all of them in a new order, those left over aside."""
    epoch, number = divmod(step, traces // batch)
    order = torch.randperm(traces, generator=session.torch_rng("data", "order", epoch))
    return order[number * batch :][:batch]


def imitation(model: Callable[[Tensor], Tensor], taught: Tensor, start: int = 1) -> Tensor:
    """Next-token loss of tokens (n, L) from place `start` on, where responses begin; nats a token, `<pad>` aside.

    Raises `InvalidValue` where all responses are empty.
    """
    targets = taught[:, 1:].clone()
    targets[:, : start - 1] = PAD
    if bool((targets == PAD).all()):
        raise InvalidValue(f"There is nothing to imitate: all {len(taught)} responses are empty.")
    return F.cross_entropy(model(taught[:, :-1]).flatten(0, 1), targets.flatten(), ignore_index=PAD)
