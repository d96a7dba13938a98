"""Measurements behind the card's claims that need no training."""

from __future__ import annotations

from functools import cache

TASKS, STEPS, NEW, REPLAYED, BUFFER = 5, 200, 10, 10, 200


@cache
def final_mass(norm: str, kappa: float, seed: int) -> tuple[float, ...]:
    """Weight of each of 5 tasks in the running mean after a stream of 200 steps a task.

    10 new images a step and, from the second task on, 10 from a reservoir of 200, through one real layer; psi stays 0.
    """
    import numpy as np
    import torch
    from torch import nn

    from workbench.cards.parts import part
    from workbench.methods.continual._shared.buffer import Buffer, Items
    from workbench.methods.continual._shared.context import NormContext
    from workbench.methods.continual._shared.learner import Window
    from workbench.methods.continual._shared.parts import NORMS
    from workbench.methods.continual.adab2n.convert import convert_norm

    rng = np.random.default_rng(seed)
    context = NormContext(TASKS, kappa=kappa, momentum=0.1)
    layer = convert_norm(nn.BatchNorm2d(1), context, norm=norm)
    buffer, window = Buffer(BUFFER, (1,), 1), Window(TASKS)
    joint = part(NORMS, norm, what="norm layer").JOINT
    pixels = torch.linspace(0, 1, 2 * (NEW + REPLAYED)).reshape(-1, 1, 1, 2)  # what they show does not matter
    for step in range(TASKS * STEPS):
        task = step // STEPS
        new = torch.full((NEW,), task)
        parts = [new, buffer.draw(REPLAYED, rng).tasks] if task else [new]
        for tasks in [torch.cat(parts)] if joint else parts:
            with context.batch(tasks, task) as batch, torch.no_grad():
                layer(pixels[: len(tasks)])
            window.take(batch)
        buffer.add(Items(torch.zeros((NEW, 1), dtype=torch.uint8), new, new), rng)
    return tuple(window.mass.tolist())


def slower_window_is_more_even(seed: int) -> bool:
    """The newest task weighs at least .05 less with AdaB2N at kappa .1 than with batch norm's separate forwards."""
    return final_mass("adab2n", 0.1, seed)[-1] < final_mass("bn", 1.0, seed)[-1] - 0.05


def no_window_is_primacy(seed: int) -> bool:
    """At kappa 0, a cumulative average, the oldest task weighs more than the newest."""
    mass = final_mass("adab2n", 0.0, seed)
    return mass[0] > mass[-1]
