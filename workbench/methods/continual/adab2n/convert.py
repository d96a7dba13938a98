"""`convert_norm`: another norm layer for every BatchNorm2d of anybody's model, and how to read its window."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from workbench.cards.errors import InvalidValue
from workbench.cards.parts import part
from workbench.methods.continual._shared.context import NormContext
from workbench.methods.continual._shared.parts import NORMS


def convert_norm(model: nn.Module, context: NormContext, *, norm: str = "adab2n") -> nn.Module:
    """Replace every BatchNorm2d of `model` by the layer `norm`, with its weights and running values; returns the model.

    >>> context = NormContext(tasks=5)
    >>> model = convert_norm(model, context)
    >>> with context.batch(tasks, current) as batch:      # tasks (B,): which task each image is from
    ...     loss = cross_entropy(model(images), labels) + 0.1 * batch.gap()

    Changed in place (a model that *is* a BatchNorm2d: returned). Convert before the optimizer is made: AdaB2N brings a
    parameter `psi` of its own. Raises `UnknownName` for a layer that does not exist; `InvalidValue`, naming the layer,
    for a momentum of None or 0, for missing running statistics or affine weights, and for a model without BatchNorm2d.
    """
    build = part(NORMS, norm, what="norm layer").build
    places = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    if not places:
        raise InvalidValue(f"{type(model).__name__} has no BatchNorm2d layer that could be replaced.")
    for name, bn in places:
        _check(name or type(model).__name__, bn)
    layers = {name: build(bn, context) for name, bn in places}  # all built before one is put in place
    for name, layer in layers.items():
        if not name:
            return layer
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, layer)
    return model


def _check(name: str, bn: nn.BatchNorm2d) -> None:
    if not bn.momentum:
        raise InvalidValue(
            f"The momentum of '{name}' is {bn.momentum}; a window needs a number above 0 and at most 1, such as 0.1."
        )
    if not bn.track_running_stats or bn.running_mean is None:
        raise InvalidValue(
            f"'{name}' keeps no running statistics; build it with track_running_stats=True before converting it."
        )
    if not bn.affine:
        raise InvalidValue(f"'{name}' has no weight and bias; build it with affine=True before converting it.")


def windows(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and layer of every layer that keeps a window, in order."""
    return ((name, m) for name, m in model.named_modules() if hasattr(m, "window_input"))


@torch.no_grad()
def recency(model: nn.Module, probes: list[Tensor], seen: int) -> tuple[Tensor, Tensor]:
    """(layers, tasks) twice: how far each layer's window is from each task's images, in running standard deviations.

    First as it is: mean over channels of |running_mean - mu_k| / sqrt(running_var), mu_k the mean input of the layer on
    `probes[k]` (n, C, H, W), in the mode that the model is in (use eval mode). Then as it would be if the first `seen`
    tasks contributed evenly: with the mean of their mu_k in the place of running_mean. Tasks lie differently far from
    each other whatever the window does; what is left of the first over the second is the window's doing.
    """
    layers = [layer for _, layer in windows(model)]
    sizes = [len(p) for p in probes]
    rows: list[tuple[Tensor, Tensor]] = []

    def look(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        means = layer.window_input(args[0]).mean((2, 3))  # type: ignore[operator]
        each = torch.stack([m.mean(0) for m in means.split(sizes)])
        deviation = (layer.running_var + layer.eps).sqrt()  # type: ignore[operator]
        centres = layer.running_mean, each[:seen].mean(0)
        now, even = (((each - centre).abs() / deviation).mean(1) for centre in centres)  # type: ignore[operator]
        rows.append((now, even))

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        model(torch.cat(probes))
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        return torch.empty(0, len(probes)), torch.empty(0, len(probes))
    return torch.stack([now for now, _ in rows]), torch.stack([even for _, even in rows])
