"""Measurements behind the card's claims: the bias over scores alone, and the ends of runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

EXPERTS, K, TOKENS, UPDATES = 8, 2, 512, 300
SIZES = {"inv_n": 2.0, "inv_sqrt_n": 1.0}
ONLINE, SAMPLE, FROM = 1000, 20_000, 10  # updates; tokens of the law's expectation; from where exponents are fitted
LAST = 50  # steps whose mean is a run's end


@cache
def fixed(seed: int, rule: str) -> tuple[float, float]:
    """Fixed scores: the largest |load − L| after 300 updates, and the share of updates that raise the Lagrangian."""
    from workbench.methods.experts.alf_lb import dual, panel

    given = panel.scores(np.random.default_rng(seed), TOKENS, EXPERTS)
    trace = dual.simulate(lambda n: given, UPDATES + 1, K, rule=rule, u=SIZES[rule])
    excess = (trace.counts[-1] - TOKENS * K / EXPERTS).abs().max()
    return float(excess), float((trace.lagrangian.diff() > 1e-9).double().mean())


def ends_balanced(seed: int) -> bool:
    """Whether the rules u/n and u/√n end within E − 1 tokens of an even load."""
    return all(fixed(seed, rule)[0] <= EXPERTS - 1 for rule in SIZES)


def seldom_rises(seed: int) -> float:
    """A tenth, minus the share of the steps of u/n that raise the Lagrangian."""
    return 0.1 - fixed(seed, "inv_n")[1]


@cache
def regret(seed: int) -> tuple[float, ...]:
    """Cumulative regret of u/n over 1,000 batches of 512 fresh tokens, a token, against the best bias, (1,000,).

    Both the regret of a step and the best bias are taken on a sample of 20,000 tokens of the same law.
    """
    import torch

    from workbench.methods.experts.alf_lb import dual

    rng = np.random.default_rng(seed)
    offsets = rng.standard_normal(EXPERTS)

    def draw(tokens: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal((tokens, EXPERTS)) + offsets).sigmoid()

    sample = draw(SAMPLE)

    def value(bias: torch.Tensor) -> float:
        ranked = sample + bias
        return float(ranked.topk(K, -1).values.sum() - K * SAMPLE / EXPERTS * bias.sum()) / SAMPLE

    best = dual.simulate(lambda n: sample, UPDATES, K, rule="inv_sqrt_n", u=SIZES["inv_sqrt_n"]).bias[-1]
    trace = dual.simulate(lambda n: draw(TOKENS), ONLINE, K, rule="inv_n", u=SIZES["inv_n"])
    least = min(value(best), *(value(b) for b in trace.bias[-50:]))
    return tuple(np.cumsum([value(b) - least for b in trace.bias[:-1]]))


def logarithmic(seed: int) -> bool:
    """Whether the regret is linear in log n (R² above .95) with a fitted exponent below .2, from the 10th update on."""
    grown = np.array(regret(seed))[FROM - 1 :]
    log = np.log(np.arange(FROM, ONLINE + 1))
    r2 = np.corrcoef(log, grown)[0, 1] ** 2
    exponent = np.polyfit(log, np.log(grown), 1)[0]
    return bool(r2 > 0.95 and exponent < 0.2)


def violation(run: Any) -> float:
    """The worst layer's imbalance, mean over the last 50 steps."""
    return float(run["worst_violation"].values[-LAST:].mean())
