"""CNN-7, the network of certified training, as an nn.Sequential that `interval.propagate` understands."""

from __future__ import annotations

from torch import nn

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
    the published network, 2 costs about a sixth; hidden defaults to min(512, 16 w): 128 at width 8, 512 from 32 on.
    """
    channels, height, breadth = shape
    layers: list[nn.Module] = []
    for out, stride in ((width, first_stride), (width, 1), (2 * width, 2), (2 * width, 1), (2 * width, 1)):
        layers.append(nn.Conv2d(channels, out, 3, stride=stride, padding=1))
        if batch_norm != "none":
            layers.append(nn.BatchNorm2d(out))
        layers.append(nn.ReLU())
        channels, height, breadth = out, (height - 1) // stride + 1, (breadth - 1) // stride + 1
    hidden = min(512, 16 * width) if hidden is None else hidden
    layers += [nn.Flatten(), nn.Linear(channels * height * breadth, hidden)]
    if batch_norm == "full":
        layers.append(nn.BatchNorm1d(hidden))
    layers += [nn.ReLU(), nn.Linear(hidden, classes)]
    return nn.Sequential(*layers)
