"""Measurements behind the card's claims that need no training."""

from __future__ import annotations

WIDTH, IMAGES = 32, 8  # half of the published width, few images: the gain is a property of the layers' sizes


def initial_layers(scheme: str, seed: int, *, batch_norm: str = "none", eps: float = 0.1) -> list[tuple[float, float]]:
    """Mean half-width of the bounds that enter each ReLU, and the signal's deviation there, before any step.

    CNN-7 of `WIDTH` with the published stride, in train mode, on the first test images of Fashion-MNIST. The deviation
    is over the images, mean over units.
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
    return [(float(r.box.radius.mean()), float(r.box.clean.std(0).mean())) for r in bounds.relus]


def initial_gain(scheme: str, seed: int, *, batch_norm: str = "none") -> float:
    """Width of the bounds that enter the last ReLU over that of the first; see `initial_layers`."""
    widths = [width for width, _ in initial_layers(scheme, seed, batch_norm=batch_norm)]
    return widths[-1] / widths[0]


def widths_hold(seed: int) -> bool:
    """IBP initialisation keeps the gain within 0.5 to 2 where Kaiming's exceeds 10,000."""
    return 0.5 <= initial_gain("ibp", seed) <= 2 and initial_gain("kaiming", seed) > 1e4
