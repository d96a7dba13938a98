"""The small convolutional network of the family's experiments."""

from __future__ import annotations

from torch import nn


def four_conv(width: int, *, channels: int = 1, classes: int = 10) -> nn.Sequential:
    """Images (B, channels, H, W) to logits (B, classes).

    Four 3x3 convolutions of width, 2, 2 and 4 times as many channels, strides 2, 1, 2, 1, without bias, each with
    batch norm and ReLU; mean over positions; linear.
    """
    layers: list[nn.Module] = []
    inner = channels
    for out, stride in ((width, 2), (2 * width, 1), (2 * width, 2), (4 * width, 1)):
        layers += [nn.Conv2d(inner, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        inner = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, classes))
