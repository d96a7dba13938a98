"""Initialisations compared in certified training; `ibp` keeps interval widths constant from layer to layer.

Derivation: a ReLU passes about half of the width, so a layer keeps it when E|W| * fan_in / 2 = 1; for a normal
E|W| = std * sqrt(2 / pi), hence std = sqrt(2 pi) / fan_in. Source: Shi et al. 2021 (arXiv 2103.17268)

With batch norm on every layer the scale of the weights cancels, so this initialisation does *not* change the
bounds of a network in train mode at step 0. It still decides the run: weights that start small and are
scale-invariant move faster for the same learning rate (watch the signal relative_change).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from workbench.methods.certified.ibp.graph import Residual, last_linear

SCHEMES = ("default", "kaiming", "xavier", "orthogonal", "ibp")


def ibp_std(weight: Tensor) -> float:
    """sqrt(2 pi) / fan_in for a weight of shape (out, in, *kernel)."""
    return math.sqrt(2 * math.pi) / weight[0].numel()


def initialise(network: nn.Module, scheme: str, generator: torch.Generator | None = None) -> None:
    """Redraw the weights of convolutions and linear layers in place.

    `ibp` leaves the last linear layer, biases and batch norm as torch made them and halves the layers that a
    residual sum enters through a ReLU (the sum of two boxes is twice as wide); kaiming (normal, fan in), xavier
    (uniform) and orthogonal redraw every weight; `default` changes nothing. Raises KeyError for another scheme.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)]
    if scheme == "default":
        return
    if scheme == "ibp":
        last = last_linear(network)
        doubled = set(map(id, after_residual(network)))
        with torch.no_grad():
            for layer in layers:
                if layer is not last:
                    layer.weight.normal_(0.0, ibp_std(layer.weight), generator=generator)
                    if id(layer) in doubled:
                        layer.weight.div_(2)
        return
    schemes: dict[str, Callable[..., Tensor]] = {
        "kaiming": nn.init.kaiming_normal_,
        "xavier": nn.init.xavier_uniform_,
        "orthogonal": nn.init.orthogonal_,
    }
    draw = schemes[scheme]
    for layer in layers:
        draw(layer.weight, generator=generator)


def after_residual(network: nn.Module) -> list[nn.Module]:
    """Weight layers that a residual sum enters through a ReLU and nothing else, as the authors' code finds them."""
    found: list[nn.Module] = []
    _follow(network, "", found)
    return found


def _follow(layer: nn.Module, arriving: str, found: list[nn.Module]) -> str:
    """Walk in order; what arrives is a residual "sum", a "relu" of one, or anything else ("")."""
    if isinstance(layer, nn.Sequential):
        for child in layer:
            arriving = _follow(child, arriving, found)
        return arriving
    if isinstance(layer, Residual):
        _follow(layer.body, arriving, found)
        _follow(layer.shortcut, arriving, found)
        return "sum"
    if isinstance(layer, nn.Conv2d | nn.Linear) and arriving == "relu":
        found.append(layer)
    return "relu" if isinstance(layer, nn.ReLU) and arriving == "sum" else ""
