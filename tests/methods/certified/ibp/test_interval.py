"""Bounds are sound, equal the definition on small cases, and refuse in words what they cannot bound."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from workbench.cards.errors import WorkbenchError
from workbench.methods.certified.ibp import interval
from workbench.methods.certified.ibp.attack import pgd
from workbench.methods.certified.ibp.init import SCHEMES, initialise
from workbench.methods.certified.ibp.networks import BATCH_NORM, cnn7, wide_resnet
from workbench.methods.certified.ibp.normalise import normalise


def residual_network() -> nn.Sequential:
    """Every layer that has a rule, with both kinds of shortcut."""
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    down = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6))
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        interval.Residual(body), nn.ReLU(), nn.MaxPool2d(2),
        interval.Residual(down, nn.Sequential(nn.Conv2d(4, 6, 1, stride=2))), nn.ReLU(), nn.AvgPool2d(2), nn.Identity(),
        nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5),
    )  # fmt: skip


def a_network(kind: str, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    if kind == "residual":
        network = residual_network()
    elif kind == "wide":
        network = wide_resnet(8, shape=(1, 8, 8), classes=5)
    else:
        network = cnn7(4, shape=(1, 8, 8), classes=5, batch_norm=kind, first_stride=1)
        initialise(network, SCHEMES[seed % len(SCHEMES)])
    return network.double()


def images_of(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(6, 1, 8, 8, generator=generator).double(), torch.randint(5, (6,), generator=generator)


@pytest.mark.parametrize("kind", [*BATCH_NORM, "residual", "wide"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), eps=st.floats(0, 0.4))
def test_no_point_of_the_box_sampled_or_attacked_falls_below_the_margins(kind: str, seed: int, eps: float) -> None:
    network = a_network(kind, seed)
    images, labels = images_of(seed)
    interval.propagate(network, interval.input_box(images, eps), labels)  # running statistics that are not the initial
    network.eval()
    bounds = interval.propagate(network, interval.input_box(images, eps), labels)
    rng = torch.Generator().manual_seed(seed)
    noise = torch.rand(20, *images.shape, generator=rng, dtype=torch.float64) * 2 - 1
    corners = noise.sign()
    attacked, broken = pgd(network, images, labels, eps, generator=rng)
    points = [images, attacked, *(images + eps * n for n in noise), *(images + eps * c for c in corners)]
    for point in points:
        assert ((point.clamp(0, 1) - images).abs() <= eps + 1e-12).all()
        with torch.no_grad():
            logits = network(point.clamp(0, 1))
        margins = logits.gather(1, labels[:, None]) - logits
        slack = 1e-9 * (1 + bounds.margin.abs())
        assert (margins >= bounds.margin - slack).all()
        assert (logits >= bounds.output.lower - slack).all()
        assert (logits <= bounds.output.upper + slack).all()
    assert not (broken & bounds.certified()).any()


@pytest.mark.parametrize("kind", [*BATCH_NORM, "residual"])
def test_an_empty_box_bounds_nothing_but_the_clean_network(kind: str) -> None:
    network = a_network(kind, 1).eval()
    images, labels = images_of(1)
    bounds = interval.propagate(network, interval.input_box(images, 0.0), labels)
    logits = network(images)
    torch.testing.assert_close(bounds.logits, logits)
    torch.testing.assert_close(bounds.margin, logits.gather(1, labels[:, None]) - logits, rtol=1e-9, atol=1e-9)
    assert torch.equal(bounds.certified(), logits.argmax(1) == labels)


def test_merging_the_last_layer_is_never_looser_than_subtracting_bounds_and_mostly_tighter() -> None:
    network = a_network("full", 3).eval()
    images, labels = images_of(3)
    bounds = interval.propagate(network, interval.input_box(images, 0.05), labels)
    apart = bounds.output.lower.gather(1, labels[:, None]) - bounds.output.upper
    others = torch.arange(5) != labels[:, None]
    assert (bounds.margin[others] >= apart[others] - 1e-12).all()
    assert (bounds.margin[others] > apart[others] + 1e-9).any()


def test_the_robust_loss_is_the_cross_entropy_of_zero_and_the_negated_margins_with_class_zero() -> None:
    network = a_network("none", 2)
    images, labels = images_of(2)
    bounds = interval.propagate(network, interval.input_box(images, 0.1), labels)
    written_out = torch.cat((torch.zeros(6, 1, dtype=torch.float64), -bounds.others()), dim=1)
    want = nn.functional.cross_entropy(written_out, torch.zeros(6, dtype=torch.long))
    torch.testing.assert_close(bounds.robust_loss(), want)
    assert bounds.robust_loss() >= nn.functional.cross_entropy(bounds.logits, labels)


def test_gradients_of_normalise_are_right() -> None:
    torch.manual_seed(0)
    for shape in ((4, 3, 2, 2), (5, 3)):
        parts = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2)]
        radius = torch.rand(shape, dtype=torch.float64, requires_grad=True)
        weight = torch.tensor([0.7, -1.2, 0.4], dtype=torch.float64, requires_grad=True)
        bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda *a: normalise(*a, 1e-5)[:3], (*parts, radius, weight, bias))


def test_bounds_need_no_gradient_from_a_network_without_batch_norm_affine_weights() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6, affine=False), nn.ReLU(), nn.Linear(6, 5))
    images, labels = images_of(0)
    interval.propagate(network.double(), interval.input_box(images, 0.1), labels).robust_loss().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_the_input_box_keeps_a_tiny_radius_in_single_precision_and_stops_at_the_pixels_range() -> None:
    images = torch.tensor([[0.0, 5e-10, 0.5, 0.9, 1.0]])
    box = interval.input_box(images, 1e-9)
    torch.testing.assert_close(box.radius, torch.tensor([[5e-10, 7.5e-10, 1e-9, 1e-9, 5e-10]]), rtol=1e-6, atol=0)
    wide = interval.input_box(images.double(), 0.3)
    assert wide.lower.min() == pytest.approx(0, abs=1e-15)
    assert wide.upper.max() == pytest.approx(1, abs=1e-15)


# -- bad input ---------------------------------------------------------------------------------------------------------


def small(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), *layers)


def run(network: nn.Sequential, images: Tensor | None = None, labels: Tensor | None = None, eps: float = 0.1) -> None:
    images = torch.rand(4, 1, 8, 8) if images is None else images
    labels = torch.zeros(len(images), dtype=torch.long) if labels is None else labels
    interval.propagate(network, interval.input_box(images, eps), labels)


class OwnLinear(nn.Linear):
    """A subclass may compute something else."""


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda: run(small(nn.Linear(64, 5)), eps=-0.1), "from 0 to 1"),
        (lambda: run(small(nn.Linear(64, 5)), eps=float("nan")), "from 0 to 1"),
        (lambda: run(small(nn.Linear(64, 5)), eps=8), "did you mean 8/255 = 0.03137"),
        (lambda: run(small(nn.Linear(64, 5)), torch.rand(4, 1, 8, 8) * 3 - 1), "minimum -"),
        (lambda: run(small(nn.Linear(64, 5)), torch.full((4, 1, 8, 8), float("nan"))), "[0, 1]"),
        (lambda: run(small(nn.Linear(64, 8), nn.Softmax(1), nn.Linear(8, 5))), "Softmax at position 2"),
        (lambda: run(small(nn.Sequential(nn.Linear(64, 8), nn.GELU()), nn.Linear(8, 5))), "GELU at position 1.1"),
        (lambda: run(small(OwnLinear(64, 8), nn.ReLU(), nn.Linear(8, 5))), "OwnLinear at position 1"),
        (lambda: run(small(nn.Linear(64, 5), nn.ReLU())), "found ReLU at position 2"),
        (lambda: run(nn.Sequential(nn.Linear(8, 5))), "flatten"),
        (lambda: run(small(nn.Linear(64, 8), nn.LeakyReLU(-0.1), nn.Linear(8, 5))), "falls left of zero"),
        (lambda: run(small(nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 5))), "Dropout in training"),
        (
            lambda: run(
                nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), *small(nn.Linear(64, 5)))
            ),
            "padding_mode='circular'",
        ),
        (lambda: run(small(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 5)), torch.rand(1, 1, 8, 8)), "2 images"),
        (lambda: run(small(nn.Linear(64, 1))), "at least 2 classes"),
        (lambda: run(small(nn.Linear(64, 5)), labels=torch.tensor([0, 1, 2, 5])), "0..4, found 0..5"),
        (lambda: run(small(nn.Linear(64, 5)), labels=torch.tensor([0, -1, 2, 3])), "found -1..3"),
    ],
)
def test_what_cannot_be_bounded_is_refused_in_one_sentence_that_says_what_and_where(bad: object, words: str) -> None:
    with pytest.raises(WorkbenchError) as error:
        bad()
    assert words in str(error.value)


@pytest.mark.parametrize(("position", "name"), [(1, "Linear at position 1"), (4, "last layer Linear at position 4")])
def test_nan_bounds_name_the_first_layer_that_has_them(position: int, name: str) -> None:
    network = small(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5))
    with torch.no_grad():
        network[position].weight[0, 0] = float("nan")
    with pytest.raises(interval.NotFiniteBoundsError, match=name):
        run(network)


def test_a_layer_of_ones_own_takes_part_once_its_rule_is_declared() -> None:
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    @interval.rule(Double)
    def _double(layer: Double, box: interval.Box) -> interval.Box:
        return interval.Box(2 * box.clean, 2 * box.centre, 2 * box.radius)

    try:
        run(small(nn.Linear(64, 8), Double(), nn.ReLU(), nn.Linear(8, 5)))
    finally:
        del interval._RULES[Double]
