"""What a training step of continual/adab2n costs with AdaB2N against torch's batch norm with the same joint forward."""

from __future__ import annotations

import torch
from torch import nn

import workbench
from tests.benchmarks.blocks import Block, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from workbench.cards import card
from workbench.methods.continual._shared.context import NormContext
from workbench.methods.continual.adab2n.convert import convert_norm

NUMBER = 21
WARM = 60  # steps of each run that are not timed: the first task, in which nothing is replayed


def measure(quick: bool) -> Row:
    """Runs of the experiment under a session, and the layer alone, interleaved."""
    torch.set_num_threads(1)
    from workbench.methods.continual.adab2n.module import Experiment

    steps, rounds = (20, 2) if quick else (100, 8)

    def whole(norm: str, into: list[Block]) -> None:
        config = card("continual/adab2n").config()
        config.norm, config.steps, config.steps_per_task = norm, WARM + steps, WARM
        config.images_per_task = 10 * WARM
        with workbench.session(config, experiment="bench/adab2n", mlflow=False) as session:
            experiment, each = Experiment(config, session), iter(session.steps(config.steps))
            for _ in range(WARM):
                experiment.step(next(each))
            with timed(steps, into):
                for _ in range(steps):
                    experiment.step(next(each))

    def alone(layer: nn.Module, context: NormContext, into: list[Block]) -> None:
        x = torch.rand(20, 32, 14, 14, generator=torch.Generator().manual_seed(0))
        tasks = torch.arange(20) // 4
        with timed(steps, into):
            for _ in range(steps):
                x = x.detach().requires_grad_()
                with context.batch(tasks, 4) as batch:
                    loss = layer(x).square().mean()
                (loss + batch.gap()).backward()

    context = NormContext(5)
    adaptive = convert_norm(nn.BatchNorm2d(32), context)
    plain = nn.BatchNorm2d(32)
    found = interleave(
        {
            "adab2n": lambda into: whole("adab2n", into),
            "bn": lambda into: whole("bn_joint", into),
            "layer": lambda into: alone(adaptive, context, into),
            "plain": lambda into: alone(plain, context, into),
        },
        rounds,
    )
    return Row(
        "Continual learning: a step with AdaB2N against batch norm with the same joint forward",
        f"{rounds} interleaved blocks of {steps} steps of the second task, 10 new and 10 replayed images, ER-ACE, four "
        "convolutions, one thread, under a session with all signals and its probes off. The layer alone: forward and "
        "backward of 20 × 32 × 14 × 14.",
        [of("whole step, wall", ratios(found, "adab2n", "bn"), "×", most=1.5)],
        [
            of("one step with batch norm", [1e3 * b.wall for b in found["bn"]], "ms"),
            of("whole step, CPU of the training thread", ratios(found, "adab2n", "bn", "cpu"), "×"),
            of("the layer alone, wall", ratios(found, "layer", "plain"), "×"),
        ],
    )
