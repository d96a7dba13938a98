"""A recurrent network of the laboratory with what is looked at in it; decision and rows are its two tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual.rich_lazy import initial, measures
from workbench.methods.continual.rich_lazy.knobs import RichLazy
from workbench.methods.continual.rich_lazy.rnn import RNN, torch_uniform

Batch = tuple[Tensor, Tensor]  # inputs (T, B, I), targets (S, B) of the last S steps


class Recurrent:
    """See `Setting`.

    Args:
        batch: step, rule → a training batch.
        probe: rule → the fixed inputs (T, n, I) with their targets (S, n).
        classes: outputs. kernel_steps: of the sequence, whose outputs enter the kernel.
    """

    noise = 0.98

    def __init__(
        self, config: RichLazy, session: SessionProtocol, *, batch: Callable[[int, int], Batch],
        probe: Callable[[int], Batch], classes: int, kernel_steps: tuple[int, ...],
    ) -> None:  # fmt: skip
        self.batch, self.probe, self.kernel_steps = batch, probe, kernel_steps
        self.inputs, targets = probe(0)
        if len(targets[-1].unique()) < 2:
            raise InvalidValue("The probe holds a single class, on which nothing can be told apart; enlarge the probe.")
        generator = session.torch_rng("init", "network")
        full = initial.gaussian(config.hidden, config.hidden, config.sigma, generator)
        self.network = RNN(
            torch_uniform(config.hidden, self.inputs.shape[2], generator), initial.cut(full, config.rank),
            torch_uniform(classes, config.hidden, generator),
        )  # fmt: skip
        self.few = self.inputs[:, : config.kernel_probe]
        numbers = self.few.shape[1] * len(kernel_steps) * classes
        measures.check_kernel(numbers, config.hidden**2, config.kernel_budget)

    @property
    def weight(self) -> nn.Parameter:
        """See `Setting`."""
        return self.network.weight

    def loss(self, step: int, rule: int) -> Tensor:
        """Cross-entropy, mean over the steps that have a target."""
        inputs, targets = self.batch(step, rule)
        outputs = self.network(inputs)[-len(targets) :]
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def states(self) -> tuple[Tensor, Tensor]:
        """See `Setting`: activities at all steps (T, n, H), at the last (n, H)."""
        hidden = self.network.hidden(self.inputs)
        return hidden, hidden[-1]

    def kernel(self) -> Tensor:
        """Of the outputs at the kernel's steps by the recurrent matrix alone."""
        return measures.tangent_kernel(lambda W: self.network(self.few, W)[list(self.kernel_steps)], self.weight)

    @torch.no_grad()
    def accuracy(self, rule: int) -> float:
        """At the last step, of probe inputs that have an answer (target -100: none)."""
        inputs, targets = self.probe(rule)
        right = self.network(inputs)[-1].argmax(1) == targets[-1]
        return 100 * float(right[targets[-1] >= 0].double().mean())

    def colours(self) -> np.ndarray:
        """The first rule's answers."""
        return self.probe(0)[1][-1].numpy()
