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
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import WorkbenchError
from workbench.methods.certified.ibp.boxes import Box, BoxError, box_around, check_labels, input_box
from workbench.methods.certified.ibp.graph import NoBoundRuleError, Node, Residual, last_linear, tape, walk
from workbench.methods.certified.ibp.norm import affine, broad, by_batch
from workbench.methods.certified.ibp.normalise import normalise

__all__ = [
    "Bounds", "Box", "BoxError", "NoBoundRuleError", "NotFiniteBoundsError", "ReluInput", "Residual", "box_around",
    "input_box", "propagate", "rule",
]  # fmt: skip


class NotFiniteBoundsError(WorkbenchError):
    """A bound became NaN, so nothing can be certified or trained from it."""


@dataclass(frozen=True, slots=True)
class ReluInput:
    """What enters one ReLU: its layer's name, the box, both of its ends, and masks of 0 and 1 in the box's dtype.

    `active` marks neurons with lower > 0, `inactive` those with upper < 0; they carry no gradient. `value` is the
    index of the box in the network's tape.
    """

    name: str
    box: Box
    lower: Tensor
    upper: Tensor
    active: Tensor
    inactive: Tensor
    value: int = 0

    @classmethod
    def of(cls, name: str, box: Box, value: int = 0) -> ReluInput:
        """Ends and masks of a box."""
        lower, upper = box.lower, box.upper
        with torch.no_grad():
            # written into the box's own dtype: a boolean tensor and its conversion cost eight times as much on a CPU
            active = torch.gt(lower, 0, out=torch.empty_like(lower))
            inactive = torch.lt(upper, 0, out=torch.empty_like(upper))
        return cls(name, box, lower, upper, active, inactive, value)


@dataclass(slots=True)
class Bounds:
    """All that one propagation knows.

    logits (B, C) clean; margin (B, C) lower bounds of logit_y - logit_j, 0 in column y; output the box of the logits
    (radius without the merging, for drawing); relus in the order of the graph; input the box it began with, input_width
    its mean half-width; nodes the network's tape, shapes those of its values without the batch; clean the clean
    activations that batch norm in train mode took its statistics from, by the layer's name.
    """

    logits: Tensor
    margin: Tensor
    output: Box
    relus: list[ReluInput]
    input: Box
    input_width: Tensor
    labels: Tensor
    nodes: list[Node]
    shapes: list[tuple[int, ...]]
    clean: dict[str, Tensor]

    def others(self) -> Tensor:
        """(B, C-1) margins against the other classes, in increasing order of class."""
        return others(self.margin, self.labels)

    def certified(self) -> Tensor:
        """(B,) True where every margin is > 0 (the authors' code lets 0 pass; we do not)."""
        return (self.others() > 0).all(dim=1)

    def robust_loss(self) -> Tensor:
        """Cross-entropy of [0, -margins] with class 0; the zero stands in column y here, which is the same number."""
        return F.cross_entropy(-self.margin, self.labels)

    def at(self, points: Tensor, start: int = 0) -> Tensor:
        """Logits of points that stand for value `start` of the tape, batch norm by the statistics of the clean batch.

        Points (k B, ...) of any k; gradients flow through weights, statistics and points alike.
        """

        def compute(node: Node, inputs: list[Tensor]) -> Tensor:
            if node.layer is None:
                return inputs[0] + inputs[1]
            if node.name not in self.clean:
                return node.layer(inputs[0])
            assert isinstance(node.layer, nn.BatchNorm1d | nn.BatchNorm2d)
            scale, shift = (broad(v, inputs[0].dim()) for v in affine(node.layer, self.clean[node.name]))
            return torch.addcmul(shift, inputs[0], scale)

        return walk(self.nodes, points, compute, start)


def others(margin: Tensor, labels: Tensor) -> Tensor:
    """(B, C) margins without the column of the true class, (B, C-1)."""
    classes = margin.shape[1]
    keep = torch.arange(classes, device=margin.device) != labels[:, None]
    return margin[keep].view(-1, classes - 1)


def margins_of(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, C) margins logit_y - logit_j of logits."""
    return logits.gather(1, labels[:, None]) - logits


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


@rule(nn.Conv1d, nn.Conv2d)
def _conv(layer: nn.Conv1d | nn.Conv2d, box: Box) -> Box:
    if layer.padding_mode != "zeros":
        raise NoBoundRuleError(
            f"{type(layer).__name__} has padding_mode={layer.padding_mode!r}; interval bounds know 'zeros' only."
        )
    conv: Any = F.conv1d if isinstance(layer, nn.Conv1d) else F.conv2d
    radius = conv(box.radius, layer.weight.abs(), None, layer.stride, layer.padding, layer.dilation, layer.groups)
    return Box(layer(box.clean), layer(box.centre), radius)


@rule(nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d, box: Box) -> Box:
    """Train mode: mean and biased variance of the clean batch, gradient through both; eval mode: running values."""
    if not by_batch(layer):
        assert layer.running_var is not None
        scale = torch.rsqrt(layer.running_var + layer.eps)
        scale = (scale * layer.weight if layer.affine else scale).abs()
        return Box(layer(box.clean), layer(box.centre), box.radius * broad(scale, box.radius.dim()))
    if box.clean.shape[0] < 2:
        raise BoxError("Batch norm in training needs at least 2 images a batch, got 1; take a larger batch_size.")
    weight = layer.weight if layer.affine else box.clean.new_ones(layer.num_features)
    bias = layer.bias if layer.affine else box.clean.new_zeros(layer.num_features)
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


@rule(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.Sigmoid, nn.Tanh, nn.Hardtanh,
      nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool2d)  # fmt: skip
def _monotone(layer: nn.Module, box: Box) -> Box:
    if getattr(layer, "negative_slope", 0.0) < 0 or getattr(layer, "alpha", 0.0) < 0:
        raise NoBoundRuleError(f"{type(layer).__name__} falls left of zero here; interval bounds need it monotone.")
    return Box.between(layer(box.clean), layer(box.lower), layer(box.upper))


@rule(nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Unflatten, nn.Identity, nn.ZeroPad2d)
def _nonnegative_linear(layer: nn.Module, box: Box) -> Box:
    return Box(layer(box.clean), layer(box.centre), layer(box.radius))


@rule(nn.Dropout, nn.Dropout2d)
def _dropout(layer: nn.Module, box: Box) -> Box:
    if layer.training:
        raise NoBoundRuleError("Dropout in training draws anew at each pass, so that no bound holds; switch it off.")
    return box


def propagate(network: nn.Module, box: Box, labels: Tensor) -> Bounds:
    """Pass a box through a network and bound every margin of the true class.

    Args: network ending in nn.Linear; box of images (B, …); labels (B,).
    Raises NoBoundRuleError (layer and position), BoxError (labels), NotFiniteBoundsError (first layer with NaN).
    """
    last = last_linear(network)
    check_labels(labels, last.out_features)
    passing = _Pass(tape(network))
    before = passing(box)
    if before.centre.dim() != 2:
        raise BoxError(f"nn.Linear at the end needs inputs of shape (B, H), got {tuple(before.centre.shape)}; flatten.")
    output = _linear(last, before)
    # (B, C, H) rows of W_y - W_j: one affine map a sample, tighter than subtracting bounds of logits
    difference = last.weight[labels].unsqueeze(1) - last.weight
    margin = margins_of(output.centre, labels) - torch.bmm(difference.abs(), before.radius.unsqueeze(2)).squeeze(2)
    if bool(margin.detach().isnan().any()):
        _name_first_nan(passing.nodes, box)
    shapes = [*passing.shapes, tuple(output.centre.shape[1:])]
    width = box.radius.detach().mean()
    return Bounds(
        output.clean, margin, output, passing.relus, box, width, labels, passing.nodes, shapes, passing.clean
    )  # fmt: skip


@dataclass(slots=True)
class _Pass:
    """A box on its way to the last layer, and what is kept of the way."""

    nodes: list[Node]
    relus: list[ReluInput] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    clean: dict[str, Tensor] = field(default_factory=dict)
    stop_at_nan: bool = False

    def __call__(self, box: Box) -> Box:
        self.shapes.append(tuple(box.centre.shape[1:]))
        return walk(self.nodes[:-1], box, self._compute)

    def _compute(self, node: Node, boxes: list[Box]) -> Box:
        box = self._through(node, boxes)
        self.shapes.append(tuple(box.centre.shape[1:]))
        if self.stop_at_nan and bool((box.centre + box.radius).isnan().any()):
            raise NotFiniteBoundsError(
                f"Bounds became NaN in layer {type(node.layer).__name__} at position {node.name}; lower the learning "
                "rate, clip the gradient, or start from a checkpoint before this step."
            )
        return box

    def _through(self, node: Node, boxes: list[Box]) -> Box:
        box, layer = boxes[0], node.layer
        if layer is None:
            return Box(*(getattr(box, part) + getattr(boxes[1], part) for part in ("clean", "centre", "radius")))
        if type(layer) not in _RULES:
            known = ", ".join(sorted(k.__name__ for k in _RULES))
            raise NoBoundRuleError(
                f"No interval rule for layer {type(layer).__name__} at position {node.name}; rules exist for {known}, "
                "Sequential and Residual. Replace the layer or declare one with interval.rule."
            )
        if by_batch(layer):
            self.clean[node.name] = box.clean
        if type(layer) is nn.ReLU:
            entering = ReluInput.of(node.name, box, node.parents[0])
            self.relus.append(entering)
            # both ends are kept for the regularisers, so they are not computed twice
            return Box.between(F.relu(box.clean), F.relu(entering.lower), F.relu(entering.upper))
        return _RULES[type(layer)](layer, box)


def _name_first_nan(nodes: list[Node], box: Box) -> None:
    """Walk again, looking: only a failed step pays for the search."""
    with torch.no_grad():
        _Pass(nodes, stop_at_nan=True)(box)
    raise NotFiniteBoundsError(
        f"Bounds became NaN in the last layer Linear at position {nodes[-1].name}; lower the learning rate or clip the "
        "gradient."
    )
