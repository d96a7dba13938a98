"""Batches of text: each sequence from exactly one domain, drawn by (seed, step) so that any step can be drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.data.domains import Domain


@dataclass(frozen=True)
class Batch:
    """`tokens` (B, L + 1) int64: inputs and, one further, targets; `domain` (B,) int64; the `step` it was drawn for."""

    tokens: Tensor
    domain: Tensor
    step: int = -1

    @property
    def inputs(self) -> Tensor:
        """(B, L)."""
        return self.tokens[:, :-1]

    @property
    def targets(self) -> Tensor:
        """(B, L)."""
        return self.tokens[:, 1:]

    @property
    def of_token(self) -> Tensor:
        """The domain of each input token, (B · L,)."""
        return self.domain.repeat_interleave(self.tokens.shape[1] - 1)


def draw(
    domains: Sequence[Domain], rng: np.random.Generator, sequences: int, length: int, *, pure: int | None = None,
    shares: Sequence[float] | None = None,
) -> Batch:  # fmt: skip
    """So many sequences of `length` bytes; the domain of position i is i mod D, `pure` for all, or by `shares`."""
    domain = np.arange(sequences) % len(domains) if pure is None else np.full(sequences, pure % len(domains))
    if shares is not None:
        domain = rng.choice(len(domains), sequences, p=shares)
    texts = [domains[int(d)].train for d in domain]
    rows = [_window(text, int(rng.integers(len(text) - length)), length) for text in texts]
    return Batch(torch.from_numpy(np.stack(rows).astype(np.int64)), torch.from_numpy(domain))


def validation(domains: Sequence[Domain], each: int, length: int) -> Batch:
    """`each` sequences of every domain at even distances in its validation text, domain after domain."""
    rows = [
        _window(d.valid, int(start), length)
        for d in domains
        for start in np.linspace(0, len(d.valid) - length - 1, each).astype(int)
    ]
    domain = torch.arange(len(domains)).repeat_interleave(each)
    return Batch(torch.from_numpy(np.stack(rows).astype(np.int64)), domain)


def _window(text: np.ndarray, start: int, length: int) -> np.ndarray:
    return text[start : start + length + 1]
