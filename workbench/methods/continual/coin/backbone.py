"""The frozen network under the adapters: random, or its first layers pre-trained on reconstruction."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIXELS, HIDDEN, OUT = 784, 128, 10
BATCH, RATE = 128, 1e-3


def random_mlp(inputs: int, generator: torch.Generator) -> nn.Sequential:
    """inputs-128-128-10 with ReLU, weights as He et al. draw them, biases 0."""
    sizes = (inputs, HIDDEN, HIDDEN, OUT)
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layer = nn.Linear(i, o)
        with torch.no_grad():
            layer.weight.normal_(0, (2 / i) ** 0.5, generator=generator)
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def pretrain(network: nn.Sequential, images: Tensor, generator: torch.Generator) -> None:
    """One epoch of reconstructing images (N, 784) through the two hidden layers, with Adam; the head stays random.

    Instructions are 0 meanwhile, so that their columns of the first layer stay as they were drawn.
    """
    decoder = nn.Linear(HIDDEN, PIXELS)
    with torch.no_grad():
        decoder.weight.normal_(0, HIDDEN**-0.5, generator=generator)
        decoder.bias.zero_()
    encoder = network[:-1]
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
    first = network[0]
    assert isinstance(first, nn.Linear)
    silent = first.in_features - PIXELS
    for rows in torch.randperm(len(images), generator=generator).split(BATCH):
        pixels = images[rows]
        loss = F.mse_loss(decoder(encoder(F.pad(pixels, (0, silent)))), pixels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
