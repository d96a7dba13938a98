"""Multi-label data of which part of the positives is recorded as negative, and who knows the truth."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.cards.protocols import SessionProtocol
from workbench.methods.imbalance.comic.knobs import Comic

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """Inputs float32 and true labels bool (N, C); classes from frequent to rare."""

    train_x: NDArray[np.float32]
    train_y: Bools
    test_x: NDArray[np.float32]
    test_y: Bools
    classes: tuple[str, ...]


def source(config: Comic, session: SessionProtocol) -> Source:
    """The configuration's data: a module of this folder, ``films`` or ``mosaics``, with a `build` of its own."""
    module: Any = importlib.import_module(f"{__package__}.{config.data}")
    found: Source = module.build(config, session.rng("data", "split"))
    return found


def record(labels: Bools, missing_rate: float, rng: np.random.Generator) -> Bools:
    """Labels (N, C) as they are recorded: each positive is missing with that probability, but every class keeps one."""
    draws = rng.random(labels.shape)
    kept = labels & (draws >= missing_rate)
    last = np.where(labels, draws, -1.0).argmax(0)  # the positive that would be dropped last
    columns = np.flatnonzero(labels.any(0))
    kept[last[columns], columns] = True
    return kept


def audit(examples: int, share: float, rng: np.random.Generator) -> Bools:
    """(N,) which examples an auditor has seen: at least one."""
    found = np.zeros(examples, bool)
    found[rng.permutation(examples)[: max(1, round(share * examples))]] = True
    return found
