"""Measurements behind the card's claims that need no training."""

from __future__ import annotations

WIDTH, IMAGES = 32, 8  # half of the published width, few images: the gain is a property of the layers' sizes


def initial_gain(scheme: str, seed: int, *, batch_norm: str = "none", eps: float = 0.1) -> float:
    """Width of the bounds that enter the last ReLU over that of the first, in train mode before any step.

    CNN-7 of `WIDTH` with the published stride, on the first test images of Fashion-MNIST.
    """
    import torch

    from workbench import data
    from workbench.methods.certified.ibp import interval
    from workbench.methods.certified.ibp.init import initialise
    from workbench.methods.certified.ibp.networks import cnn7

    source = data.load("fashion_mnist")
    images = torch.from_numpy(data.as_floats(source.test_x[:IMAGES]))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = cnn7(WIDTH, batch_norm=batch_norm, first_stride=1)
        initialise(network, scheme)
        bounds = interval.propagate(network, interval.input_box(images, eps), torch.from_numpy(source.test_y[:IMAGES]))
    widths = [float(r.box.radius.mean()) for r in bounds.relus]
    return widths[-1] / widths[0]


def widths_hold(seed: int) -> bool:
    """Claim (a): IBP initialisation keeps the gain within 0.5 to 2 where Kaiming's exceeds 10,000."""
    return 0.5 <= initial_gain("ibp", seed) <= 2 and initial_gain("kaiming", seed) > 1e4
