"""Backward bounds are sound and differentiable, verifiers pass on what they leave open, and a verdict names its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.methods.certified.ibp.test_interval import a_network, images_of, small
from workbench.methods.certified.ibp import crown, interval
from workbench.methods.certified.ibp.attack import Frozen, pgd
from workbench.methods.certified.ibp.graph import NoBoundRuleError, tape
from workbench.methods.certified.ibp.verify import MARGINS, TITLES, certify, verify


@pytest.mark.parametrize("kind", ["none", "full", "wide"])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), eps=st.floats(0, 0.2))
def test_no_point_of_the_box_falls_below_the_margins_of_any_verifier(kind: str, seed: int, eps: float) -> None:
    network = a_network(kind, seed)
    images, labels = (part[:3] for part in images_of(seed))
    interval.propagate(network, interval.input_box(images, eps), labels)  # running statistics that are not the initial
    network.eval()
    bounds = interval.propagate(network, interval.input_box(images, eps), labels)
    rng = torch.Generator().manual_seed(seed)
    noise = torch.rand(20, *images.shape, generator=rng, dtype=torch.float64) * 2 - 1
    attacked, _ = pgd(Frozen(network, images), images, labels, eps, generator=rng)
    with torch.no_grad():
        points = [images, attacked, *(images + eps * n for n in noise), *(images + eps * n.sign() for n in noise)]
        true = torch.stack([interval.margins_of(network(p.clamp(0, 1)), labels) for p in points]).amin(0)
        for name, margins in MARGINS.items():
            lower = margins(bounds)
            assert (true >= lower - 1e-9 * (1 + lower.abs())).all(), name
            assert (lower.gather(1, labels[:, None]) == 0).all(), name


def test_backward_bounds_in_train_mode_stand_at_the_statistics_of_the_clean_batch() -> None:
    network = a_network("full", 3)
    images, labels = images_of(3)
    bounds = interval.propagate(network, interval.input_box(images, 0.02), labels)
    lower = crown.margins(bounds)
    points = interval.box_around(images, 0.02)
    for sign in (-1, 0, 1):
        true = interval.margins_of(bounds.at(points.centre + sign * points.radius), labels)
        assert (true >= lower - 1e-9).all()
    exact = interval.propagate(network, interval.input_box(images, 0.0), labels)
    torch.testing.assert_close(crown.margins(exact), interval.margins_of(exact.logits, labels), rtol=1e-7, atol=1e-9)


def test_the_gradient_of_backward_bounds_is_right() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3),
    ).double()  # fmt: skip
    images, labels = torch.rand(3, 1, 8, 8).double(), torch.tensor([0, 1, 2])
    box = interval.input_box(images, 0.05)

    def loss(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        replaced = {"0.weight": weight, "1.weight": scale}
        call = _Propagation(network, box, labels)
        return torch.func.functional_call(call, {f"network.{k}": v for k, v in replaced.items()}, ())

    weight, scale = (network[0].weight.detach().clone(), network[1].weight.detach().clone())
    assert torch.autograd.gradcheck(loss, (weight.requires_grad_(), scale.requires_grad_()))


class _Propagation(nn.Module):
    """The CROWN-IBP loss as a function of the network's parameters."""

    def __init__(self, network: nn.Sequential, box: interval.Box, labels: torch.Tensor) -> None:
        super().__init__()
        self.network, self.box, self.labels = network, box, labels

    def forward(self) -> torch.Tensor:
        bounds = interval.propagate(self.network, self.box, self.labels)
        return F.cross_entropy(-crown.margins(bounds), self.labels)


def a_trained_network() -> tuple[nn.Sequential, torch.Tensor, torch.Tensor]:
    """A small network that has learned two blobs of images well enough that the verifiers differ."""
    torch.manual_seed(4)
    labels = torch.arange(60) % 3
    images = (torch.rand(60, 1, 4, 4) * 0.4 + 0.3).double()
    images[torch.arange(60), 0, labels, :] += 0.25
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 3))
    network.double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
    return network, images, labels


def test_each_verifier_certifies_what_the_cheaper_did_and_more_and_never_what_the_attack_breaks() -> None:
    network, images, labels = a_trained_network()
    found = verify(network.eval(), images, labels, 0.06)
    counts = [int(certified.sum()) for certified, _ in found.values()]
    assert list(found) == ["ibp", "crown_ibp", "crown"]
    assert counts[0] < counts[1] < counts[2] < 60, counts
    masks, least = [c for c, _ in found.values()], [m for _, m in found.values()]
    assert not (masks[0] & ~masks[1]).any()
    assert not (masks[1] & ~masks[2]).any()
    assert (least[1] >= least[0]).all()
    _, broken = pgd(network, images, labels, 0.06, steps=30, generator=torch.Generator().manual_seed(0))
    assert broken.any()
    assert not (broken & masks[2]).any()
    assert list(verify(network, images, labels, 0.06, "ibp")) == ["ibp"]
    with pytest.raises(KeyError):
        verify(network, images, labels, 0.06, "crwn")


def test_certify_says_of_ones_own_network_which_verifier_certified_each_image_and_leaves_its_mode_alone() -> None:
    network, images, labels = a_trained_network()
    wrong = labels.clone()
    wrong[:5] = (wrong[:5] + 1) % 3
    network[2].eval()
    before = [m.training for m in network.modules()]
    verdicts = certify(network, images, wrong, 0.06, upto="crown")
    assert [m.training for m in network.modules()] == before
    assert verdicts[:5] == ["wrong"] * 5
    assert set(verdicts[5:]) == {*TITLES.values(), "open"}
    assert certify(network, images, wrong, 0.0)[5:] == ["IBP"] * 55


class OwnSequential(nn.Sequential):
    """Adds nothing to Sequential's forward."""


class Doubling(nn.Sequential):
    """Computes something else than its layers in a row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_ones_own_sequential_is_walked_and_one_with_another_forward_is_named() -> None:
    images, labels = images_of(0)
    inner = [nn.Linear(64, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.LeakyReLU(), nn.Linear(8, 5)]
    own = OwnSequential(nn.Flatten(), OwnSequential(*inner)).double()
    assert [node.name for node in tape(own)] == ["0", "1.0", "1.1", "1.2", "1.3", "1.4"]
    assert len(certify(own, images, labels, 0.01, upto="ibp")) == 6
    with pytest.raises(NoBoundRuleError, match="No interval rule for layer Doubling at position 1;"):
        certify(small(Doubling(*inner[:2]), nn.Linear(8, 5)).double(), images, labels, 0.01)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.MaxPool2d(2), "CROWN has no rule for layer MaxPool2d at position 1;"),
        (nn.Sequential(nn.Tanh(), nn.AvgPool2d(2)), "CROWN has no rule for layer Tanh at position 1.0;"),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.AvgPool2d(2)), "1.0 has padding='same'"),
    ],
)
def test_a_layer_that_intervals_can_bound_and_crown_cannot_is_named_by_crown(layer: nn.Module, words: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), layer, nn.Flatten(), nn.Linear(32, 5)).double()
    images, labels = images_of(2)
    labels = network(images).argmax(1)
    assert "open" in certify(network, images, labels, 0.4, upto="ibp")
    with pytest.raises(NoBoundRuleError) as error:
        certify(network, images, labels, 0.4)
    assert words in str(error.value)
