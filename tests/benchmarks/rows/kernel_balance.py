"""Balancing 100,000 ratings by the dual, against the alternating steps of the paper's code."""

from __future__ import annotations

import resource
import time

import numpy as np
import torch

from tests.benchmarks.figures import Row, of
from workbench.methods.imbalance.kernel_balancing import alternating, balance, kernels, propensity, world

NUMBER = 27
FUNCTIONS, BATCH, SAMPLED, PICKED = 64, 128, 5, 3  # the last three are the released code's


def measure(quick: bool) -> Row:
    """Seconds, memory and the largest gap left of the same 64 functions; each way once, one after the other."""
    torch.set_num_threads(1)
    users, items, epochs = (100, 150, 1) if quick else (943, 1682, 10)
    w = world.build(users, items, 2.0, 0.063, np.random.default_rng(0), torch.Generator().manual_seed(0))
    labels, rng = w.likes.ravel(), np.random.default_rng(1)
    inverse = propensity.inverse(propensity.naive_bayes(labels[w.observed], labels[w.unbiased], users * items))
    basis = w.features[rng.choice(len(w.features), FUNCTIONS, replace=False)]
    rate = kernels.rate_of(w.features, 0.5, kind="gaussian", rng=rng)
    rated = w.features[w.observed]

    began, before = time.perf_counter(), peak()
    K = kernels.kernel(rated, basis, kind="gaussian", rate=rate)
    target = kernels.mean_kernel(w.features, basis, kind="gaussian", rate=rate)
    solved = time.perf_counter()
    found = balance.solve(K, target, base=inverse, slack=1e-3)
    ended, ours = time.perf_counter(), peak() - before

    before = peak()
    seconds, weights = theirs(w, inverse, rate, rng, epochs)
    memory = peak() - before
    return Row(
        f"Kernel balancing of {len(w.observed):,} ratings: the dual against the released alternating steps",
        f"MovieLens-100k's people and films, likes completed, {FUNCTIONS} Gaussian functions; each way once, one "
        f"thread. Alternating: {epochs} epochs of batches of {BATCH}, with {PICKED} functions and {SAMPLED * BATCH} "
        "drawn pairs a batch.",
        [of("alternating over dual, wall", [seconds / (ended - began)], "×")],
        [
            of("dual, whole", [ended - began], "s"),
            of("of which the solver", [ended - solved], "s"),
            of("alternating", [seconds], "s"),
            of("dual, memory beyond the data", [ours], "MB"),
            of("alternating, memory beyond that", [memory], "MB"),
            of("largest gap, base weights", [largest(K, target, inverse)], ""),
            of("largest gap, dual", [largest(K, target, found.weights)], ""),
            of("largest gap, alternating", [largest(K, target, weights)], ""),
        ],
    )


def theirs(
    w: world.World, inverse: np.ndarray, rate: float, rng: np.random.Generator, epochs: int
) -> tuple[float, np.ndarray]:
    """Seconds and weights of the weight model's part of the released training, with our features and kernel."""
    model = alternating.Factors(w.users, w.items, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=5e-2)
    began = time.perf_counter()
    for _ in range(epochs):
        order, every = rng.permutation(len(w.observed)), rng.permutation(len(w.features))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[at : at + BATCH]
            drawn = every[(np.arange(SAMPLED * BATCH) + SAMPLED * at) % len(every)]
            basis = w.features[rng.choice(drawn, PICKED)]
            K, target = (
                kernels.kernel(w.features[i], basis, kind="gaussian", rate=rate) for i in (w.observed[rows], drawn)
            )
            alternating.step(
                model, optimizer, w.pairs(w.observed[rows]), torch.from_numpy(inverse[rows]).float(),
                torch.from_numpy(K).float(), torch.from_numpy(target.mean(0)).float(), gamma=1.0, slack=1e-2,
            )  # fmt: skip
    seconds = time.perf_counter() - began
    with torch.no_grad():
        return seconds, model(w.pairs(w.observed)).double().numpy() * inverse


def largest(kernel: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """The largest gap."""
    return float(np.abs(balance.gaps(kernel, target, weights)).max())


def peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
