"""What losses for classes of unequal size cost, against torch's plain cross-entropy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.benchmarks.blocks import Block, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from workbench.methods.imbalance._shared import losses
from workbench.methods.imbalance._shared.longtail import profile

NUMBER = 26
BATCH, CLASSES = 1024, 1000


def measure(quick: bool) -> Row:
    """Forward and backward of each loss on the same logits, interleaved; what counts give is made beforehand."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, CLASSES, generator=generator)
    target = torch.randint(CLASSES, (BATCH,), generator=generator)
    counts = torch.from_numpy(profile(CLASSES, 2000, 100)).float()
    shift, margins = losses.log_prior(counts), losses.ldam_margins(counts)
    balanced, inverse = losses.class_balanced_weights(counts), losses.reweighting(counts)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "cross-entropy": lambda z: F.cross_entropy(z, target),
        "focal": lambda z: losses.focal(z, target, gamma=2),
        "class-balanced": lambda z: losses.weighted(z, target, balanced),
        "reweighting": lambda z: losses.weighted(z, target, inverse),
        "logit adjustment (balanced softmax)": lambda z: losses.logit_adjusted(z, target, shift),
        "LDAM": lambda z: losses.ldam(z, target, margins),
        "LADE": lambda z: losses.lade(z, target, shift),
    }
    steps, rounds = (3, 2) if quick else (20, 14)

    def go(way: Callable[[Tensor], Tensor], into: list[Block]) -> None:
        z = logits.clone().requires_grad_()
        with timed(steps, into):
            for _ in range(steps):
                z.grad = None
                way(z).backward()

    found = interleave({name: lambda into, way=way: go(way, into) for name, way in ways.items()}, rounds)  # type: ignore[misc]
    plain = "cross-entropy"
    others = [name for name in ways if name != plain]
    return Row(
        "Imbalance: losses for classes of unequal size against torch's cross-entropy",
        f"{rounds} interleaved blocks of {steps} forward and backward passes, {BATCH:,} examples, {CLASSES:,} classes, "
        "float32, one thread; ratio of wall time round by round.",
        [of(f"{name}, wall", ratios(found, name, plain), "×", most=3.0) for name in others],
        [
            of("one pass of cross-entropy", [1e3 * b.wall for b in found[plain]], "ms"),
            *(of(f"{name}, CPU of the thread", ratios(found, name, plain, "cpu"), "×") for name in others),
        ],
    )
