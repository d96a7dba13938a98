"""Domains of unequal size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.cards import InvalidValue
from workbench.data.domains import CHUNK, Domain


def unequal(domains: Sequence[Domain], imbalance: float) -> tuple[Domain, ...]:
    """The domains with so many times more training bytes in the first than in the last; the others lie between.

    Raises:
        InvalidValue: a domain would be left with less than a chunk.
    """
    last = max(1, len(domains) - 1)
    first = len(domains[0].train)
    sizes = [min(len(d.train), int(first * imbalance ** (-i / last))) for i, d in enumerate(domains)]
    if min(sizes) < CHUNK:
        raise InvalidValue(
            f"imbalance leaves the domain {domains[int(np.argmin(sizes))].name} with {min(sizes)} bytes; at least "
            f"{CHUNK} are needed: lower imbalance, here {imbalance:g}."
        )
    return tuple(cut(d, n) for d, n in zip(domains, sizes, strict=True))


def cut(domain: Domain, size: int) -> Domain:
    """The domain with about `size` bytes to train on."""
    return dataclasses.replace(domain, train=thinned(domain.train, size))


def thinned(text: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """About `size` bytes of a text, in chunks at even distances: a beginning is another kind of text than an end.

    At least one chunk of `CHUNK` bytes.
    """
    if size >= len(text):
        return text
    chunks = np.linspace(0, len(text) // CHUNK - 1, max(1, round(size / CHUNK))).astype(int)
    return np.concatenate([text[i * CHUNK : (i + 1) * CHUNK] for i in chunks])
