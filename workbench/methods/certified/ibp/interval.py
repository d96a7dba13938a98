"""Interval bound propagation (IBP) through graphs of nn.Sequential and residual additions.

A box travels as centre and radius beside the clean activations, because batch norm takes its statistics from the
clean batch. Affine layers map the centre by W and the radius by |W|; monotone layers map both ends.
Rounding is to nearest, not outward: bounds are sound up to float error, not to the last bit.

Shapes: B batch, C classes, m ReLU layers, H features into the last layer.
Source: Gowal et al. 2018 (arXiv 1810.12715); batch norm and merged margin as in Shi et al. 2021 (arXiv 2103.17268).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue, WorkbenchError
from workbench.methods.certified.ibp.normalise import normalise


class NoBoundRuleError(WorkbenchError):
    """A layer of the network has no rule for interval bounds."""


class NotFiniteBoundsError(WorkbenchError):
    """A bound became NaN, so nothing can be certified or trained from it."""


class BoxError(InvalidValue):
    """The images, labels or radius of an input box are not what a box needs."""


class Residual(nn.Module):
    """`body(x) + shortcut(x)`; an empty shortcut is the identity."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Sequential() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, ...)."""
        return cast(Tensor, self.body(x) + self.shortcut(x))


@dataclass(frozen=True, slots=True)
class Box:
    """Clean activations and the interval [centre - radius, centre + radius] around them, all of one shape."""

    clean: Tensor
    centre: Tensor
    radius: Tensor

    @property
    def lower(self) -> Tensor:
        """Lower end."""
        return self.centre - self.radius

    @property
    def upper(self) -> Tensor:
        """Upper end."""
        return self.centre + self.radius

    @classmethod
    def between(cls, clean: Tensor, lower: Tensor, upper: Tensor) -> Box:
        """The box with these ends."""
        return cls(clean, (lower + upper) / 2, (upper - lower) / 2)


@dataclass(frozen=True, slots=True)
class ReluInput:
    """What enters one ReLU: its layer's name, the box, both of its ends, and masks of 0 and 1 in the box's dtype.

    `active` marks neurons with lower > 0, `inactive` those with upper < 0; they carry no gradient.
    """

    name: str
    box: Box
    lower: Tensor
    upper: Tensor
    active: Tensor
    inactive: Tensor

    @classmethod
    def of(cls, name: str, box: Box) -> ReluInput:
        """Ends and masks of a box."""
        lower, upper = box.lower, box.upper
        with torch.no_grad():
            # written into the box's own dtype: a boolean tensor and its conversion cost eight times as much on a CPU
            active = torch.gt(lower, 0, out=torch.empty_like(lower))
            inactive = torch.lt(upper, 0, out=torch.empty_like(upper))
        return cls(name, box, lower, upper, active, inactive)


@dataclass(slots=True)
class Bounds:
    """All that one propagation knows.

    logits (B, C) clean; margin (B, C) lower bounds of logit_y - logit_j, 0 in column y; output the box of the logits
    (radius without the merging, for drawing); relus in the order of the graph; input_width mean half-width of the box.
    """

    logits: Tensor
    margin: Tensor
    output: Box
    relus: list[ReluInput]
    input_width: Tensor
    labels: Tensor

    def others(self) -> Tensor:
        """(B, C-1) margins against the other classes, in increasing order of class."""
        classes = self.margin.shape[1]
        keep = torch.arange(classes, device=self.margin.device) != self.labels[:, None]
        return self.margin[keep].view(-1, classes - 1)

    def certified(self) -> Tensor:
        """(B,) True where every margin is > 0 (the authors' code lets 0 pass; we do not)."""
        return (self.others() > 0).all(dim=1)

    def robust_loss(self) -> Tensor:
        """Cross-entropy of [0, -margins] with class 0; the zero stands in column y here, which is the same number."""
        return F.cross_entropy(-self.margin, self.labels)


Layer = TypeVar("Layer", bound=nn.Module)
Rule = Callable[[Any, Box], Box]
_RULES: dict[type[nn.Module], Rule] = {}


def rule(*layers: type[nn.Module]) -> Callable[[Rule], Rule]:
    """Declare how a box passes exactly these layer types (a subclass may compute something else: it needs its own)."""

    def declare(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(layers, function))
        return function

    return declare


@rule(nn.Linear)
def _linear(layer: nn.Linear, box: Box) -> Box:
    clean, centre = layer(box.clean), layer(box.centre)
    return Box(clean, centre, F.linear(box.radius, layer.weight.abs()))


@rule(nn.Conv2d)
def _conv(layer: nn.Conv2d, box: Box) -> Box:
    if layer.padding_mode != "zeros":
        raise NoBoundRuleError(f"Conv2d has padding_mode={layer.padding_mode!r}; interval bounds know 'zeros' only.")
    radius = F.conv2d(box.radius, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups)
    return Box(layer(box.clean), layer(box.centre), radius)


@rule(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, box: Box) -> Box:
    """Train mode: mean and biased variance of the clean batch, gradient through both; eval mode: running values."""
    weight = layer.weight if layer.affine else box.clean.new_ones(layer.num_features)
    bias = layer.bias if layer.affine else box.clean.new_zeros(layer.num_features)
    if not layer.training and layer.running_mean is not None and layer.running_var is not None:
        scale = (weight * torch.rsqrt(layer.running_var + layer.eps)).abs()
        shape = [1, -1] + [1] * (box.clean.dim() - 2)
        return Box(layer(box.clean), layer(box.centre), box.radius * scale.view(shape))
    if box.clean.shape[0] < 2:
        raise BoxError("Batch norm in training needs at least 2 images a batch, got 1; take a larger batch_size.")
    clean, centre, radius, mean, variance = normalise(box.clean, box.centre, box.radius, weight, bias, layer.eps)
    if layer.training and layer.track_running_stats:
        _update_running(layer, mean.flatten(), variance.flatten(), box.clean.numel() // mean.numel())
    return Box(clean, centre, radius)


def _update_running(layer: nn.BatchNorm1d | nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """nn.BatchNorm's own update (unbiased variance), once a step and from the clean pass alone."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    momentum = layer.momentum if layer.momentum is not None else 1.0 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), momentum)
    layer.running_var.lerp_((variance * (count / (count - 1))).to(layer.running_var.dtype), momentum)


@rule(nn.ReLU, nn.MaxPool2d, nn.AdaptiveMaxPool2d)
def _monotone(layer: nn.Module, box: Box) -> Box:
    return Box.between(layer(box.clean), layer(box.lower), layer(box.upper))


@rule(nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity)
def _nonnegative_linear(layer: nn.Module, box: Box) -> Box:
    return Box(layer(box.clean), layer(box.centre), layer(box.radius))


def last_linear(network: nn.Sequential) -> tuple[str, nn.Linear]:
    """The classifier's last layer, by position (not by the name "weight", which a trailing batch norm would take)."""
    if not len(network) or type(network[-1]) is not nn.Linear:
        found = type(network[-1]).__name__ if len(network) else "nothing"
        raise NoBoundRuleError(
            f"The network must end in nn.Linear so that the margins can be merged into it; found {found} at "
            f"position {len(network) - 1}."
        )
    return str(len(network) - 1), network[-1]


def input_box(images: Tensor, eps: float) -> Box:
    """The box [max(x - eps, 0), min(x + eps, 1)] around images of [0, 1]; eps in the unit of a pixel.

    Raises BoxError for a radius outside [0, 1] and for images outside [0, 1], where the clamp would be wrong.
    """
    check_radius(eps)
    low, high = (float(v) for v in torch.aminmax(images))
    if not (low >= 0.0 and high <= 1.0):
        raise BoxError(
            f"Images must lie in [0, 1] for the box to be right, found minimum {low:.4g} and maximum {high:.4g}; "
            "scale them (and undo any normalisation) first."
        )
    return box_around(images, eps)


def box_around(images: Tensor, eps: float) -> Box:
    """`input_box` without its checks, for images and a radius that were checked before.

    The reach to either side is computed, not the ends: x + eps - x would lose an eps of 1e-6 in single precision.
    """
    left, right = images.clamp_max(eps), (1 - images).clamp_max(eps)
    return Box(images, images + (right - left) / 2, (left + right) / 2)


def check_radius(eps: float) -> None:
    """Raise BoxError unless 0 <= eps <= 1 in the unit of a pixel."""
    if eps > 1:
        raise BoxError(f"epsilon is {eps:g} but pixels reach from 0 to 1; did you mean {eps:g}/255 = {eps / 255:.4g}?")
    if not eps >= 0:
        raise BoxError(f"epsilon must be a number from 0 to 1 in the unit of a pixel, got {eps:g}.")


def check_labels(labels: Tensor, classes: int) -> None:
    """Raise BoxError unless there are at least two classes and every label is one of them."""
    if classes < 2:
        raise BoxError(f"A margin needs at least 2 classes, the network has {classes} output.")
    low, high = (int(v) for v in torch.aminmax(labels))
    if low < 0 or high >= classes:
        raise BoxError(f"Labels must lie in 0..{classes - 1}, found {low}..{high}; check the network's last layer.")


def propagate(network: nn.Sequential, box: Box, labels: Tensor) -> Bounds:
    """Pass a box through a network and bound every margin of the true class.

    Args: network ending in nn.Linear; box of images (B, …); labels (B,).
    Raises NoBoundRuleError (layer and position), BoxError (labels), NotFiniteBoundsError (first layer with NaN).
    """
    end, last = last_linear(network)
    check_labels(labels, last.out_features)
    walk = _Walk()
    start, width = box, box.radius.detach().mean()
    for name, layer in network.named_children():
        if name != end:
            box = walk(layer, name, box)
    if box.centre.dim() != 2:
        raise BoxError(f"nn.Linear at the end needs inputs of shape (B, H), got {tuple(box.centre.shape)}; flatten.")
    output = _linear(last, box)
    # (B, C, H) rows of W_y - W_j: one affine map a sample, tighter than subtracting bounds of logits
    difference = last.weight[labels].unsqueeze(1) - last.weight
    centre = output.centre.gather(1, labels[:, None]) - output.centre
    margin = centre - torch.bmm(difference.abs(), box.radius.unsqueeze(2)).squeeze(2)
    if bool(margin.detach().isnan().any()):
        _name_first_nan(network, start, end)
    return Bounds(output.clean, margin, output, walk.relus, width, labels)


@dataclass(slots=True)
class _Walk:
    relus: list[ReluInput] = field(default_factory=list)
    stop_at_nan: bool = False

    def __call__(self, layer: nn.Module, name: str, box: Box) -> Box:
        kind = type(layer)
        if kind is nn.Sequential:
            for child, inner in layer.named_children():
                box = self(inner, f"{name}.{child}", box)
            return box
        if kind is Residual:
            body, shortcut = (self(getattr(layer, p), f"{name}.{p}", box) for p in ("body", "shortcut"))
            return Box(*(getattr(body, p) + getattr(shortcut, p) for p in ("clean", "centre", "radius")))
        if kind not in _RULES:
            known = ", ".join(sorted(k.__name__ for k in _RULES))
            raise NoBoundRuleError(
                f"No interval rule for layer {kind.__name__} at position {name}; rules exist for {known}, Sequential "
                "and Residual. Replace the layer or declare one with interval.rule."
            )
        if kind is nn.ReLU:
            entering = ReluInput.of(name, box)
            self.relus.append(entering)
            # both ends are kept for the regularisers, so they are not computed twice
            box = Box.between(F.relu(box.clean), F.relu(entering.lower), F.relu(entering.upper))
        else:
            box = _RULES[kind](layer, box)
        if self.stop_at_nan and bool((box.centre + box.radius).isnan().any()):
            raise NotFiniteBoundsError(
                f"Bounds became NaN in layer {kind.__name__} at position {name}; lower the learning rate, clip the "
                "gradient, or start from a checkpoint before this step."
            )
        return box


def _name_first_nan(network: nn.Sequential, box: Box, end: str) -> None:
    """Walk again, looking: only a failed step pays for the search."""
    with torch.no_grad():
        walk = _Walk(stop_at_nan=True)
        for name, layer in network.named_children():
            if name != end:
                box = walk(layer, name, box)
    raise NotFiniteBoundsError(
        f"Bounds became NaN in the last layer Linear at position {end}; lower the learning rate or clip the gradient."
    )
