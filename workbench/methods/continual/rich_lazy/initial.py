"""Initial weights of a chosen rank at the same Frobenius norm, and the aligned low rank. Needs torch alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue


def gaussian(rows: int, columns: int, sigma: float, generator: torch.Generator) -> Tensor:
    """(rows, columns) of sigma N(0, 1)/sqrt(columns), full rank."""
    return sigma * torch.randn(rows, columns, generator=generator) / math.sqrt(columns)


def cut(W: Tensor, rank: int) -> Tensor:
    """The best approximation of W (n, m) of that rank, rescaled to W's Frobenius norm: only the rank changes.

    Raises `InvalidValue` for a rank below 1 or above min(n, m).
    """
    largest = min(W.shape)
    if not 1 <= rank <= largest:
        raise InvalidValue(f"The rank of the initial weights must lie between 1 and {largest}; got {rank}.")
    U, s, Vt = torch.linalg.svd(W, full_matrices=False)
    low = U[:, :rank] * s[:rank] @ Vt[:rank]
    return low * (torch.linalg.norm(W) / torch.linalg.norm(low))


def aligned(W: Tensor, teacher: Tensor, angle: float, generator: torch.Generator) -> Tensor:
    """Rank one with W's Frobenius norm whose input direction is `angle` degrees from the teacher's (d,).

    0: the exception, a low rank that stays lazy; 90: knows nothing of the task. The output direction is random.
    A reconstruction: the authors' code has no such matrix, and the theorem's text was not at hand.
    """
    towards = teacher / teacher.norm()
    aside = torch.randn(len(teacher), generator=generator).to(teacher)
    aside = aside - (aside @ towards) * towards
    turn = math.radians(angle)
    inputs = math.cos(turn) * towards + math.sin(turn) * aside / aside.norm()
    outputs = torch.randn(len(W), generator=generator).to(teacher)
    return torch.linalg.norm(W) * torch.outer(outputs / outputs.norm(), inputs)
