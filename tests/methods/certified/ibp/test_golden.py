"""Interval bounds, regularisers, schedule and initialisation equal what the authors' code computed."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from workbench.methods.certified.ibp import crown, init, interval, regularizers, schedule
from workbench.methods.certified.ibp.networks import cnn7, wide_resnet

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 1e-9, "atol": 1e-10}
NETWORKS = ("ibp_bn", "ibp_bn_relu", "ibp_nobn")


def load(name: str) -> SimpleNamespace:
    """The arrays of one file, the network they were computed on (weights of the file) and its images."""
    arrays = dict(np.load(GOLDEN / f"certified_{name}.npz"))
    c1, c2, h = (int(c) for c in arrays["channels"])
    bn = bool(arrays["bn"])
    layers: list[nn.Module] = []
    for out, inner in ((c1, 1), (c2, c1)):
        layers += [nn.Conv2d(inner, out, 3, 2, 1), *([nn.BatchNorm2d(out)] if bn else []), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(c2 * 49, h), *([nn.BatchNorm1d(h)] if bn else []), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Linear(h, int(arrays["num_classes"]))).double()
    prefix = "param_"
    weights = {k[len(prefix) :]: torch.tensor(v) for k, v in arrays.items() if k.startswith(prefix)}
    network.load_state_dict(weights)
    return SimpleNamespace(
        arrays=arrays, network=network, images=torch.tensor(arrays["x"]), labels=torch.tensor(arrays["y"])
    )


@pytest.fixture(params=NETWORKS)
def golden(request: pytest.FixtureRequest) -> SimpleNamespace:
    """One golden file with both of its passes: train mode first (it moves the running values), then eval mode."""
    g = load(request.param)
    eps = float(g.arrays["eps"])
    # the file's parameters hold the running values that its train pass had left
    for layer in g.network:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
    g.box = interval.input_box(g.images, eps)
    g.bounds = {}
    for mode in ("train", "eval"):
        g.network.train(mode == "train")
        g.bounds[mode] = interval.propagate(g.network, g.box, g.labels)
    return g


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_bounds_margins_and_losses_are_those_of_the_oracle(golden: SimpleNamespace, mode: str) -> None:
    want, bounds = golden.arrays, golden.bounds[mode]

    def same(value: torch.Tensor, name: str) -> None:
        np.testing.assert_allclose(value.detach().numpy(), want[f"{mode}_{name}"], err_msg=name, **TIGHT)

    same(bounds.logits, "logits")
    same(bounds.others(), "ibp_margin_lb")
    for i, entering in enumerate(bounds.relus):
        same(entering.lower, f"relu{i}_pre_lower")
        same(entering.upper, f"relu{i}_pre_upper")
    same(F.cross_entropy(bounds.logits, golden.labels), "clean_ce")
    same(bounds.robust_loss(), "robust_loss")
    same((bounds.others() < 0).any(1).double().mean(), "robust_err")
    same(torch.stack([(r.lower > 0).double().mean() for r in bounds.relus]), "active_ratio")
    same(torch.stack([(r.upper < 0).double().mean() for r in bounds.relus]), "inactive_ratio")
    tol = float(want["tol"])
    same(regularizers.tightness(regularizers.mean_widths(bounds.relus), bounds.input_width, tol), "L_tightness")
    same(regularizers.relu_balance(bounds.relus, tol)[0], "L_relu")


def test_backward_bounds_of_the_margins_are_those_of_the_oracle(golden: SimpleNamespace) -> None:
    want, bounds = golden.arrays, golden.bounds["eval"]
    backward = {"crown_ibp": crown.margins(bounds), "crown": crown.crown_margins(bounds)}
    for name, margin in backward.items():
        got = interval.others(margin, golden.labels).detach().numpy()
        np.testing.assert_allclose(got, want[f"eval_{name}_margin_lb"], rtol=1e-7, atol=1e-7, err_msg=name)


def test_total_loss_and_every_gradient_are_those_of_the_authors_code(golden: SimpleNamespace) -> None:
    want, bounds = golden.arrays, golden.bounds["train"]
    tol, eps, top = (float(want[k]) for k in ("tol", "eps", "max_eps"))
    penalty = regularizers.tightness(regularizers.mean_widths(bounds.relus), bounds.input_width, tol)
    penalty = penalty + regularizers.relu_balance(bounds.relus, tol)[0]
    total = bounds.robust_loss() + regularizers.weight(float(want["reg_lambda"]), eps, top) * penalty
    np.testing.assert_allclose(total.item(), want["train_total_loss"], **TIGHT)
    total.backward()
    for name, parameter in golden.network.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), want[f"grad_total_{name}"], err_msg=name, **TIGHT)


def test_running_statistics_are_updated_once_and_from_the_clean_pass() -> None:
    g = load("ibp_bn")
    reference = nn.Sequential(*g.network)
    for layer in g.network:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
    interval.propagate(g.network.train(), interval.input_box(g.images, 0.1), g.labels)
    moved = {k: v.clone() for k, v in g.network.state_dict().items() if "running" in k or "tracked" in k}
    for layer in reference:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
    reference.train()(g.images)
    for name, value in moved.items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=1e-12, atol=1e-14)


def test_schedule_gives_the_radius_of_every_batch() -> None:
    for name, want in np.load(GOLDEN / "certified_eps_schedule.npz").items():
        target, start, length, per_epoch, _, mid, beta = re.fullmatch(
            r"max(\d+)_s(\d+)_l(\d+)_ep(\d+)_n(\d+)(?:_mid(\d+))?(?:_beta(\d+))?", name
        ).groups()
        top = {"04": 0.4, "01": 0.1, "8255": 8 / 255}[target]
        first, last = schedule.ramp_steps(int(start), int(length), int(per_epoch))
        shape = {"mid": float(f"0.{mid[1:]}") if mid else 0.25, "beta": float(beta) if beta else 4.0}
        live = schedule.LiveRadius(**shape)
        got = [schedule.smoothed(k, first, last, top, **shape) for k in range(len(want))]
        run = [live.advance(k, start=first, end=last, target=top) for k in range(len(want))]
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15, err_msg=name)
        assert run == got, "an untouched live radius is the schedule itself"


@pytest.mark.parametrize("name", ["cnn7_bn_mnist", "wide_resnet_8_mnist"])
def test_ibp_initialisation_draws_each_layer_with_the_authors_deviation(name: str) -> None:
    file = np.load(GOLDEN / "certified_init_std.npz")
    table = {k.split("__")[1]: file[k] for k in file.files if k.startswith(name)}
    network = cnn7(64, first_stride=1) if name.startswith("cnn7") else wide_resnet(128)
    before = [m.weight.clone() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    init.initialise(network, "ibp", torch.Generator().manual_seed(0))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [str(tuple(m.weight.shape)) for m in layers] == list(table["shapes"])
    halved = init.after_residual(network)
    assert [m in halved for m in layers] == list(table["halved_for_residual"])
    for k, layer in enumerate(layers):
        np.testing.assert_allclose(init.ibp_std(layer.weight), table["ibp_std"][k], rtol=1e-12)
        assert torch.equal(before[k], layer.weight) == (not table["reinitialised"][k])
        if table["reinitialised"][k]:
            # both are draws: the first layer has 144 weights, so its deviation is known to about 6 %
            error = 5 / np.sqrt(2 * layer.weight.numel())
            np.testing.assert_allclose(layer.weight.std().item(), table["empirical_std_after"][k], rtol=2 * error)
