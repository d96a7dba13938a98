"""Measurements behind the card's claims that need no run: the linear student trained to its loss."""

from __future__ import annotations

from functools import cache

WIDTH, RATE, LOSS, STEPS = 20, 0.01, 1e-4, 20_000


@cache
def linear_alignment(seed: int, rank: int, angle: float | None = None) -> tuple[float, float, float]:
    """Kernel alignment, weight change and loss of the linear student at its end: at a loss of 1e-4 or 20,000 steps."""
    import torch

    from workbench.methods.continual.rich_lazy.linear import draw
    from workbench.methods.continual.rich_lazy.measures import alignment

    generator = torch.Generator().manual_seed(seed)
    student, teacher = draw(WIDTH, rank, generator, angle=angle)
    W0, K0 = student.weight.detach().clone(), student.kernel()
    W, w = student.weight.data, student.outside.data
    with torch.no_grad():
        for _ in range(STEPS):
            error = w @ W - teacher
            if float(error @ error) < LOSS:
                break
            gradient = 2 * torch.outer(w, error)
            w -= 2 * RATE * W @ error
            W -= RATE * gradient
    found = alignment(student.kernel(), K0)
    assert found is not None
    return found, float((W - W0).norm()), float((w @ W - teacher).square().sum())


def full_minus_rank_3(seed: int) -> float:
    """How much lazier full rank is than rank 3."""
    return linear_alignment(seed, WIDTH)[0] - linear_alignment(seed, 3)[0]


def aligned_minus_random(seed: int) -> float:
    """How much lazier rank 1 along the teacher is than random rank 1."""
    return linear_alignment(seed, 1, 0.0)[0] - linear_alignment(seed, 1)[0]
