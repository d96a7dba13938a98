"""What a strategy may do to a training step, and the one in force, which may change between epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.cards.parts import part
from workbench.methods.multimodal._shared.knobs import STRATEGIES
from workbench.methods.multimodal._shared.network import MODALITIES, Outputs, TwoModalities
from workbench.methods.multimodal._shared.pairs import Pair


@dataclass(frozen=True)
class Lookout:
    """What a strategy may see besides its batch, at the beginning of an epoch.

    `make` builds an optimiser over parameters with the run's settings; `rng(*keys)` gives a NumPy generator.
    """

    network: TwoModalities
    pair: Pair
    make: Callable[[Any], torch.optim.Optimizer]
    rng: Callable[..., Any]


class Strategy:
    """Base: nothing is done. A subclass overrides what it does.

    Attributes:
        weights: of the fused loss and of the read-outs' losses, as last used; shown.
        coefficients: by what the gradients of the encoders a and v were multiplied; shown.
        KEPT: names of a subclass's own attributes that are part of its state (numbers, tensors).
    """

    KEPT: tuple[str, ...] = ()

    def __init__(self, config: Any) -> None:
        self.config = config
        self.epoch = 0
        self.weights: tuple[float, float, float] = (1.0, 0.0, 0.0)
        self.coefficients: tuple[float, float] = (1.0, 1.0)

    def begin(self, epoch: int, lookout: Lookout) -> None:
        """Before an epoch's first batch."""
        self.epoch = epoch

    def scale_features(self, network: TwoModalities, features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B, d) as they enter the fusion: the same forward, their gradients perhaps scaled."""
        return features

    def loss(self, out: Outputs) -> Tensor:
        """What is minimised, a scalar."""
        return weighed(self.weights, out.losses)

    def before_backward(self, network: TwoModalities, out: Outputs) -> None:
        """Gradients of parts of the loss may be taken here, while the graph is there."""

    def after_backward(self, network: TwoModalities, out: Outputs) -> None:
        """Gradients may be changed here, before they are clipped and applied."""

    def state_dict(self) -> dict[str, Any]:
        """Plain data and tensors."""
        own = {name: getattr(self, name) for name in self.KEPT}
        return {"epoch": self.epoch, "weights": self.weights, "coefficients": self.coefficients, **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in state.items():
            setattr(self, name, tuple(value) if name in ("weights", "coefficients") else value)


class InForce:
    """The strategy by name; register it."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.follow(config.method)

    def follow(self, name: str) -> None:
        """Make that strategy the one in force, afresh."""
        self.name = name
        self.now: Strategy = part(STRATEGIES, name, what="strategy").Strategy(self.config)

    def begin(self, name: str, epoch: int, lookout: Lookout) -> None:
        """Before an epoch's first batch; the strategy may be another one now."""
        if name != self.name:
            self.follow(name)
        self.now.begin(epoch, lookout)

    def state_dict(self) -> dict[str, Any]:
        """Its name and its state."""
        return {"name": self.name, "state": self.now.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.follow(state["name"])
        self.now.load_state_dict(state["state"])


def weighed(weights: Sequence[float], losses: Sequence[Tensor]) -> Tensor:
    """Σ w L over the losses whose weight is not 0."""
    terms = [loss if w == 1 else w * loss for w, loss in zip(weights, losses, strict=True) if w]
    return torch.stack(terms).sum()


class Scale(torch.autograd.Function):
    """Identity whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        """`x` as it is."""
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The gradient times the factor."""
        return ctx.factor * grads[0], None


def kernels(network: TwoModalities) -> dict[str, list[nn.Parameter]]:
    """By modality, the encoder's tensors of two dimensions and more: matrices and convolution kernels, no biases.

    OGM-GE's code scales 4-D tensors alone, of its convolutions; of dense encoders nothing would then be left.
    """
    return {m: [p for p in network.parameters_of(m) if p.ndim > 1] for m in MODALITIES}
