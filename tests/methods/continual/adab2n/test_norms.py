"""Norm layers on anybody's model: conversion, what the window remembers, and what is refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.cards.parts import names
from workbench.methods.continual._shared.context import NormContext, first_eta, fixed_eta, next_eta
from workbench.methods.continual._shared.learner import Window
from workbench.methods.continual._shared.networks import four_conv
from workbench.methods.continual._shared.parts import NORMS
from workbench.methods.continual.adab2n.convert import convert_norm, recency, windows


class Users(nn.Module):
    """A model as somebody else would write it: nested, with a residual branch and a layer norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.branch = nn.ModuleDict({"norm": nn.BatchNorm2d(8, momentum=0.2), "conv": nn.Conv2d(8, 8, 3, padding=1)})
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x + self.branch["conv"](self.branch["norm"](x)))


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(12, 3, 9, 9, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def trained(images) -> Users:
    """A model whose running values are not those it was born with."""
    torch.manual_seed(0)
    model = Users()
    for _ in range(3):
        model(2 + 3 * images)
    return model


@pytest.mark.parametrize("norm", ["bn", "bn_joint", "adab2n"])
def test_a_converted_model_says_the_same_in_eval_mode(trained, images, norm):
    expected = trained.eval()(images)
    converted = convert_norm(copy.deepcopy(trained), NormContext(3), norm=norm)
    assert not converted.training
    torch.testing.assert_close(converted(images), expected)
    assert len(list(windows(converted))) == 2


@pytest.mark.parametrize("norm", names(NORMS))
def test_every_layer_trains_anybodys_model(trained, images, norm):
    context = NormContext(3, groups=4)
    model = convert_norm(trained, context, norm=norm).train()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with context.batch(torch.arange(12) // 6, 1) as batch:
        loss = model(images).square().mean() + 0.1 * batch.gap()
    loss.backward()
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # the bias in front of a norm layer has no gradient worth the name
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_batch_norm_layers_are_torchs_to_the_bit(trained, images):
    plain = copy.deepcopy(trained)
    converted = convert_norm(trained, NormContext(3), norm="bn")
    assert torch.equal(plain(images), converted(images))
    for (name, a), (_, b) in zip(plain.state_dict().items(), converted.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_continual_normalisation_is_group_norm_and_then_batch_norm(images):
    torch.manual_seed(0)
    bn = nn.BatchNorm2d(8)
    made = convert_norm(copy.deepcopy(bn), NormContext(2, groups=4), norm="cn")
    x = images.repeat(1, 3, 1, 1)[:, :8]
    torch.testing.assert_close(made(x), bn(nn.GroupNorm(4, 8, affine=False)(x)))


def test_the_step_size_is_in_the_state_so_that_a_resumed_layer_goes_on(images):
    context = NormContext(3)
    first = convert_norm(nn.BatchNorm2d(3), context)
    for _ in range(5):
        first(images)
    second = convert_norm(nn.BatchNorm2d(3), context)
    second.load_state_dict(first.state_dict())
    for layer in (first, second):
        layer(images)
    assert torch.equal(first.running_mean, second.running_mean)
    assert float(second.eta) < first_eta(0.1, 0.4)


def test_a_moved_kappa_goes_on_from_the_step_size_there_is():
    eta = first_eta(0.1, 0.4)
    for _ in range(400):
        eta = next_eta(eta, 0.1, 0.4)
    assert eta == pytest.approx(fixed_eta(0.1, 0.4), rel=1e-6)
    moved = next_eta(eta, 0.1, 0.1)
    assert fixed_eta(0.1, 0.1) < moved < eta


def test_renormalised_weights_sum_to_one_where_a_seen_task_is_absent(images):
    tasks = torch.tensor([0] * 6 + [2] * 6)  # task 1 is absent
    x = images + 5
    means = {}
    for renormalise in (False, True):
        context = NormContext(3, renormalise=renormalise)
        layer = convert_norm(nn.BatchNorm2d(3), context)
        with context.batch(tasks, 2) as batch:
            layer(x)
        total = float(batch.shares[0].sum())
        assert total == pytest.approx(1.0 if renormalise else 14 / 15)
        means[renormalise] = layer.running_mean / layer.eta
    torch.testing.assert_close(means[False], means[True] * 14 / 15)


def test_the_windows_mass_is_the_weight_of_each_tasks_images_in_the_running_mean():
    """Tasks of constant value: the running mean is then the sum of mass times value."""
    context = NormContext(3, kappa=0.7)
    layer = convert_norm(nn.BatchNorm2d(1), context)
    window, values = Window(3), torch.tensor([1.0, 10.0, 100.0])
    rng = np.random.default_rng(0)
    for step in range(60):
        current = step // 20
        tasks = torch.from_numpy(np.concatenate([np.full(4, current), rng.integers(0, current + 1, 4)]))
        with context.batch(tasks, current) as batch:
            layer(values[tasks][:, None, None, None].repeat(1, 1, 2, 2))
        window.take(batch)
    assert float(window.mass @ values.double()) == pytest.approx(float(layer.running_mean), rel=1e-5)


def test_recency_is_the_distance_from_each_tasks_mean_and_even_that_of_the_mean_of_tasks():
    model = convert_norm(nn.Sequential(nn.BatchNorm2d(2)), NormContext(2), norm="bn").eval()
    model[0].running_mean.copy_(torch.tensor([1.0, 0.0]))
    model[0].running_var.copy_(torch.tensor([4.0, 1.0]))
    probes = [torch.ones(3, 2, 2, 2), 5 * torch.ones(4, 2, 2, 2)]
    now, even = recency(model, probes, 2)
    torch.testing.assert_close(now, torch.tensor([[(0 + 1) / 2, (2 + 5) / 2]]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(even, torch.tensor([[(1 + 2) / 2, (1 + 2) / 2]]), rtol=1e-4, atol=1e-4)


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, momentum=None)), "momentum of '1' is None"),
        (lambda: nn.Sequential(nn.BatchNorm2d(2, momentum=0.0)), r"momentum of '0' is 0\.0"),
        (lambda: nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False)), "'0' keeps no running statistics"),
        (lambda: nn.Sequential(nn.BatchNorm2d(2, affine=False)), "'0' has no weight and bias"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm1d(2)), "no BatchNorm2d layer"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused_by_the_layers_name_and_left_alone(make, words):
    model = make()
    before = [type(m) for m in model.modules()]
    with pytest.raises(InvalidValue, match=words):
        convert_norm(model, NormContext(2))
    assert [type(m) for m in model.modules()] == before


def test_channels_that_do_not_split_into_groups_are_refused_before_any_layer_is_replaced():
    model = four_conv(6)
    for norm in ("gn", "cn"):
        with pytest.raises(InvalidValue, match="6 channels do not split into 8 groups"):
            convert_norm(model, NormContext(2, groups=8), norm=norm)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kappa": 1.5}, "kappa must lie between 0 and 1; got 1.5"),
        ({"kappa": float("nan")}, "kappa"),
        ({"momentum": 0.0}, "momentum must lie above 0"),
        ({"groups": 0}, "groups must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(InvalidValue, match=words):
        NormContext(3, **settings)


def test_tasks_that_cannot_be_are_refused(images):
    with pytest.raises(InvalidValue, match="number of tasks must be at least 1"):
        NormContext(0)
    context = NormContext(3)
    with pytest.raises(InvalidValue, match="made for tasks 0 to 2"), context.batch(None, 3):
        pass
    for tasks, wrong in (([0, 2], 2), ([-1, 0], -1)):
        with pytest.raises(InvalidValue, match=f"image of task {wrong}"), context.batch(torch.tensor(tasks), 1):
            pass


def test_a_batch_of_another_size_than_announced_is_refused_and_the_next_forward_is_free(images):
    context = NormContext(2)
    model = convert_norm(nn.BatchNorm2d(3), context)
    with context.batch(torch.zeros(5, dtype=torch.int64), 0), pytest.raises(InvalidValue, match="received 12 images"):
        model(images)
    assert model(images).shape == images.shape


def test_one_image_of_one_pixel_is_refused():
    with pytest.raises(InvalidValue, match="more than one value a channel"):
        convert_norm(nn.BatchNorm2d(3), NormContext(2))(torch.ones(1, 3, 1, 1))


def test_an_unknown_layer_suggests_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'adab2n'"):
        convert_norm(nn.Sequential(nn.BatchNorm2d(2)), NormContext(2), norm="adabn")


# -- one's own --------------------------------------------------------------------------------------------------------

OWN = '''
from torch import nn

JOINT = True


class Plain(nn.Module):
    """No normalisation: weight and bias alone."""

    def __init__(self, bn):
        super().__init__()
        self.weight, self.bias = bn.weight, bn.bias

    def forward(self, x):
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def build(bn, context):
    return Plain(bn)
'''
TRAIN = """
import sys
from workbench.cards import card
from workbench.runs import Store, launch

assert "plain" in card("continual/adab2n").controls["norm"].choices
options = {"norm": "plain", "tracking": "off"}
run = launch("continual/adab2n", preset="smoke", overrides=options, store=Store(sys.argv[1]))
assert run.wait(120) == "finished", run.message
assert "top1_acc_stream" in run.reader.names()
"""


def test_a_norm_layer_of_ones_own_is_one_file_in_another_package(tmp_path, monkeypatch):
    (tmp_path / "own_norms.py").write_text(OWN)
    info = tmp_path / "own_norms-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-norms\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{NORMS}]\nplain = own_norms\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path / "store")], capture_output=True, text=True, timeout=240,
        cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
