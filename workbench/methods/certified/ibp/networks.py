"""Networks of certified training as nn.Sequential that bounds can walk: CNN-7, a small Wide-ResNet, one's own."""

from __future__ import annotations

import importlib

from torch import nn

from workbench.cards.errors import InvalidValue
from workbench.methods.certified.ibp.graph import Residual

BATCH_NORM = ("none", "conv", "full")


def cnn7(
    width: int = 64,
    *,
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    batch_norm: str = "full",
    first_stride: int = 2,
    hidden: int | None = None,
) -> nn.Sequential:
    """conv w, w, 2w (stride 2), 2w, 2w (3x3, pad 1), linear `hidden`, linear classes.

    Args: width w of the first layer; shape (channels, height, width) of an image; batch_norm "none", "conv"
    (convolutions only, as before Shi et al. 2021) or "full" (also behind the hidden linear layer); first_stride 1 is
    the published network, 2 (narrow) costs about a sixth; hidden defaults to min(512, 16 w): 128 at width 8, 512 from
    32 on.
    """
    channels, height, breadth = shape
    layers: list[nn.Module] = []
    for out, stride in ((width, first_stride), (width, 1), (2 * width, 2), (2 * width, 1), (2 * width, 1)):
        layers += [*_conv(channels, out, stride, batch_norm), nn.ReLU()]
        channels, height, breadth = out, _after(height, stride), _after(breadth, stride)
    hidden = min(512, 16 * width) if hidden is None else hidden
    return nn.Sequential(*layers, *_head(channels * height * breadth, hidden, classes, batch_norm))


def wide_resnet(
    width: int = 128,
    *,
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    batch_norm: str = "full",
    first_stride: int = 1,
    hidden: int | None = None,
) -> nn.Sequential:
    """Wide-ResNet-8: conv stem, three stages of one block (w, 2w, 4w channels; strides 1, 2, 2), linear, linear.

    At width 128 with first_stride 1 it is the published network (base 16, widen 8, no pooling, dense 512); the stem
    has width / 8 channels, at least 4, and takes `first_stride`. Arguments as `cnn7`'s.
    """
    channels, height, breadth = shape
    stem = max(4, width // 8)
    layers: list[nn.Module] = [*_conv(channels, stem, first_stride, batch_norm), nn.ReLU()]
    channels, height, breadth = stem, _after(height, first_stride), _after(breadth, first_stride)
    for out, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
        body = [*_conv(channels, out, stride, batch_norm), nn.ReLU(), *_conv(out, out, 1, batch_norm)]
        shortcut = _conv(channels, out, stride, batch_norm, kernel=1)
        layers += [Residual(nn.Sequential(*body), nn.Sequential(*shortcut)), nn.ReLU()]
        channels, height, breadth = out, _after(height, stride), _after(breadth, stride)
    hidden = min(512, 16 * width) if hidden is None else hidden
    return nn.Sequential(*layers, *_head(channels * height * breadth, hidden, classes, batch_norm))


def _conv(inner: int, out: int, stride: int, batch_norm: str, kernel: int = 3) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inner, out, kernel, stride, kernel // 2)]
    return layers if batch_norm == "none" else [*layers, nn.BatchNorm2d(out)]


def _head(features: int, hidden: int, classes: int, batch_norm: str) -> list[nn.Module]:
    norm = [nn.BatchNorm1d(hidden)] if batch_norm == "full" else []
    return [nn.Flatten(), nn.Linear(features, hidden), *norm, nn.ReLU(), nn.Linear(hidden, classes)]


def _after(side: int, stride: int) -> int:
    return (side - 1) // stride + 1


def build(
    name: str, *, width: int, shape: tuple[int, int, int], classes: int, batch_norm: str, own: str = ""
) -> nn.Module:
    """The network of the settings.

    Args: name "cnn7_narrow" and "wide_resnet" (a first stride of 2, on images of at least 16 pixels a side), "cnn7"
    (the published stride), or "own": `own` names a function of (shape, classes) as ``package.module:function``.
    """
    if name == "own":
        return _own(own, shape, classes)
    stride = 1 if name == "cnn7" or min(shape[1:]) < 16 else 2
    make = wide_resnet if name == "wide_resnet" else cnn7
    return make(width, shape=shape, classes=classes, batch_norm=batch_norm, first_stride=stride)


def _own(name: str, shape: tuple[int, int, int], classes: int) -> nn.Module:
    module, _, function = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidValue(
            f"own_network='{name}' cannot be imported ({error}); write package.module:function, and start with a "
            "PYTHONPATH in which Python finds it."
        ) from error
    network = made(shape, classes)
    if not isinstance(network, nn.Module):
        raise InvalidValue(f"{name} must return a torch.nn.Module, got {type(network).__name__}.")
    if not any(type(layer) is nn.ReLU for layer in network.modules()):
        raise InvalidValue(f"The network of {name} has no nn.ReLU, whose bounds this experiment shows and regularises.")
    return network
