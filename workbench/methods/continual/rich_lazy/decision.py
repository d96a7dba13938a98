"""Two-alternative decision (synthetic, after neurogym's PerceptualDecisionMaking): which of two noisy channels is more?

8 steps. Inputs: fixation, 1 until the last step, and two stimuli (1 ± coherence)/2 with noise of 0.1, which are gone at
the last step, so that the answer has to be kept. Targets: class 0, fixate, on the first 7 steps, class 1 or 2 on the
last. The second rule swaps the meaning of the channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual.rich_lazy.knobs import RichLazy
from workbench.methods.continual.rich_lazy.recurrent import Batch, Recurrent

STEPS, CLASSES = 8, 3
COHERENCES = (0.0, 0.064, 0.128, 0.256, 0.512)
NOISE = 0.1


def trials(number: int, rng: np.random.Generator, *, rule: int = 0, sure: bool = False) -> Batch:
    """Inputs (8, number, 3) and targets (8, number); an odd rule swaps the two answers. `sure`: no coherence of 0."""
    coherence = rng.choice(COHERENCES[1:] if sure else COHERENCES, number)
    first = rng.integers(2, size=number)
    signed = coherence * (1 - 2 * first)  # the first channel is more where `first` is 0
    inputs = np.empty((STEPS, number, 3))
    inputs[..., 0] = np.arange(STEPS)[:, None] < STEPS - 1
    inputs[..., 1:] = (1 + np.stack([signed, -signed], axis=-1)) / 2 + NOISE * rng.standard_normal((STEPS, number, 2))
    inputs[-1, :, 1:] = 0
    targets = np.zeros((STEPS, number), np.int64)
    targets[-1] = 1 + (first ^ (rule % 2))
    return torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(targets)


def build(config: RichLazy, session: SessionProtocol) -> Recurrent:
    """See `settings.build`. The kernel is that of the outputs at steps 3 and 7."""

    def batch(step: int, rule: int) -> tuple[Tensor, Tensor]:
        return trials(config.batch_size, session.rng("data", "trials", step), rule=rule)

    def probe(rule: int) -> tuple[Tensor, Tensor]:
        return trials(config.probe, session.rng("eval", "trials"), rule=rule, sure=True)

    return Recurrent(config, session, batch=batch, probe=probe, classes=CLASSES, kernel_steps=(3, 7))
