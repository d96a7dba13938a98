"""`watch(model)`: gradient and update ratios and unit activity of anybody's network, for the generic detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from workbench.cards import InvalidValue
from workbench.signals import emit

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.ELU)


class Watch:
    """The hooks of `watch`; `close` (or leaving its `with` block) takes them out."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, every: int) -> None:
        self._model, self._every = model, every
        self._calls = 0
        self._before: dict[str, Tensor] = {}
        self._names = [n for n, p in model.named_parameters() if p.requires_grad and p.ndim > 1]
        self._hooks = [
            optimizer.register_step_pre_hook(self._keep),
            optimizer.register_step_post_hook(self._compare),
            *(
                module.register_forward_hook(self._activity(name))
                for name, module in model.named_modules()
                if isinstance(module, ACTIVATIONS)
            ),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the hooks out of model and optimizer."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    @property
    def _due(self) -> bool:
        return self._calls % self._every == 0

    def _parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        found = dict(self._model.named_parameters())
        return ((name, found[name]) for name in self._names)

    @torch.no_grad()
    def _keep(self, *_: Any) -> None:
        if self._due:
            self._before = {name: p.detach().clone() for name, p in self._parameters()}
            gradients = [p.grad.norm() for _, p in self._parameters() if p.grad is not None]
            if gradients:
                emit("grad_norm", torch.stack(gradients).norm())

    @torch.no_grad()
    def _compare(self, *_: Any) -> None:
        if self._due and self._before:
            ratios = [
                (p - self._before[name]).norm() / self._before[name].norm().clamp_min(1e-12)
                for name, p in self._parameters()
            ]
            emit("update_ratio", torch.stack(ratios))
            self._before = {}
        self._calls += 1

    def _activity(self, name: str) -> Callable[..., None]:
        def record(module: nn.Module, _: Any, output: Any) -> None:
            if self._due and module.training and isinstance(output, Tensor) and output.ndim > 1:
                active = (output.detach() > 0).float().transpose(0, 1).flatten(1).mean(1)
                emit(f"{name}.activity", active)

        return record


def watch(model: nn.Module, optimizer: torch.optim.Optimizer, *, every: int = 20) -> Watch:
    """Record, every `every` optimizer steps, what the detectors `update_ratio` and `dead_units` read.

    ``grad_norm`` (scalar, of all weight matrices), ``update_ratio`` (layers,): norm of the step's change over the norm
    of the weights, one value a weight matrix in the order of `named_parameters`; ``<module>.activity`` (units,): share
    of the batch (and positions) for which a unit behind an activation is positive. Changes nothing in the training.

    Raises:
        InvalidValue: `every` below 1, or a model without weight matrices.
    """
    if every < 1:
        raise InvalidValue(f"every must be at least 1 step; got {every}.")
    made = Watch(model, optimizer, every)
    if not made._names:
        made.close()
        raise InvalidValue(f"{type(model).__name__} has no trainable weight matrices to watch.")
    return made
