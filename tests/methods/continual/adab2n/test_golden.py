"""Norm layer and whole training steps equal what the authors' code computed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from workbench.cards.parts import part
from workbench.methods.continual._shared.context import NormContext, first_eta, next_eta
from workbench.methods.continual._shared.learner import Learner, Part
from workbench.methods.continual._shared.parts import NORMS, STRATEGIES
from workbench.methods.continual.adab2n.convert import convert_norm
from workbench.methods.continual.adab2n.norms.adab2n import AdaB2N

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 1e-9, "atol": 1e-10}
LOOSE = {"rtol": 1e-4, "atol": 1e-4}


def layer_of(arrays: dict[str, np.ndarray], dtype: torch.dtype) -> tuple[AdaB2N, NormContext]:
    context = NormContext(int(arrays["num_tasks"]), kappa=float(arrays["kappa"]), momentum=float(arrays["momentum"]))
    layer = AdaB2N(int(arrays["num_features"]), context, eps=float(arrays["eps"])).to(dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(arrays["weight0"]))
        layer.bias.copy_(torch.tensor(arrays["bias0"]))
    return layer, context


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, TIGHT), (torch.float32, LOOSE)])
@pytest.mark.parametrize("name", ["kappa04", "kappa1", "kappa0", "absent"])
def test_the_layer_is_the_authors(name, dtype, tolerance):
    arrays = dict(np.load(GOLDEN / f"adab2n_{name}.npz"))
    layer, context = layer_of(arrays, dtype)
    for step in range(int(arrays["steps_total"])):
        a = {k[4:]: v for k, v in arrays.items() if k.startswith(f"s{step:02d}_")}
        x = torch.tensor(a["x"], dtype=dtype, requires_grad=True)
        current = int(a["task"])
        tasks = torch.tensor(a["labels"]) // int(arrays["classes_per_task"])
        layer.zero_grad()
        with context.batch(tasks if current else None, current) as batch:
            y = layer(x)
        loss = (y * torch.tensor(a["R"], dtype=dtype)).mean() + float(arrays["lambd"]) * batch.gap()
        loss.backward()
        psi = layer.psi.grad if layer.psi.grad is not None else torch.zeros_like(layer.psi)
        found = {
            "y": y, "eta": layer.eta, "norm_loss": batch.gap(), "L": loss, "grad_x": x.grad,
            "grad_weight": layer.weight.grad, "grad_bias": layer.bias.grad, "grad_task_weight": psi,
            "running_mean": layer.running_mean, "running_var": layer.running_var,
        }  # fmt: skip
        for key, value in found.items():
            np.testing.assert_allclose(value.detach().numpy(), a[key], **tolerance, err_msg=f"step {step}, {key}")
        with torch.no_grad():
            for p in layer.parameters():
                if p.grad is not None:
                    p -= float(arrays["lr"]) * p.grad
        np.testing.assert_allclose(layer.psi.detach().numpy(), a["task_weight_after"], **tolerance)
    layer.eval()
    y = layer(torch.tensor(arrays["eval_x"], dtype=dtype)).detach().numpy()
    np.testing.assert_allclose(y, arrays["eval_y"], **tolerance)
    np.testing.assert_allclose(layer.weight.detach().numpy(), arrays["weight_final"], **tolerance)
    np.testing.assert_allclose(layer.bias.detach().numpy(), arrays["bias_final"], **tolerance)


def test_the_step_sizes_of_the_window_are_the_authors_at_both_ends_of_kappa_too():
    arrays = np.load(GOLDEN / "adab2n_eta.npz")
    assert len(arrays.files) == 10
    for name in arrays.files:
        kappa, momentum = (float(part) for part in name.removeprefix("eta_kappa").split("_mom"))
        etas = [first_eta(momentum, kappa)]
        while len(etas) < len(arrays[name]):
            etas.append(next_eta(etas[-1], momentum, kappa))
        np.testing.assert_allclose(etas, arrays[name], **TIGHT)


RUNS = {"erace_bn": ("er_ace", "bn"), "erace_ada": ("er_ace", "adab2n"), "derpp_bn": ("derpp", "bn"),
        "derpp_ada": ("derpp", "adab2n")}  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
def test_whole_training_steps_are_the_authors(run):
    arrays = dict(np.load(GOLDEN / "continual_observe.npz"))
    strategy_name, norm = RUNS[run]
    tasks, each, c = (int(arrays[n]) for n in ("num_tasks", "classes_per_task", "channels"))
    network: nn.Module = nn.Sequential(
        nn.Conv2d(1, c, 3, 2, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
        nn.Conv2d(c, c, 3, 2, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, tasks * each),
    ).double()  # fmt: skip
    network.load_state_dict({k[6:]: torch.tensor(v) for k, v in arrays.items() if k.startswith("param_")})
    context = NormContext(tasks, kappa=float(arrays["kappa"]))
    network = convert_norm(network, context, norm=norm)
    strategy = part(STRATEGIES, strategy_name, what="strategy")
    config = SimpleNamespace(alpha=float(arrays["alpha"]), beta=float(arrays["beta"]), mask="paper_code")
    learner = Learner(network, context, strategy, config, classes=tasks * each, joint=part(NORMS, norm, what="").JOINT)
    optimizer = torch.optim.SGD(network.parameters(), lr=float(arrays["lr"]))
    for step, want in enumerate(arrays[f"{run}_loss"]):
        a = {k[4:]: torch.tensor(v) for k, v in arrays.items() if k.startswith(f"s{step:02d}_")}
        task = int(a["task"])

        def piece(prefix: str, a: dict[str, Tensor] = a) -> Part:
            labels = a[f"{prefix}y"]
            return Part(a[f"{prefix}x"], labels, labels // each, a.get(f"{prefix}logits"))

        replays = [piece(f"buf{i}_") for i in range(strategy.draws(task))] if step else []
        fresh, replayed, gap = learner.losses(piece(""), replays, task, task)
        loss = fresh + replayed
        if norm == "adab2n" and task >= int(arrays["ada_t0"]):
            loss = loss + float(arrays["lambd"]) * gap
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(loss.item(), want, **TIGHT, err_msg=f"step {step}")
    prefix = f"{run}_final_"
    state = {k.replace("psi", "task_weight"): v.numpy() for k, v in network.state_dict().items()}
    for key in (k for k in arrays if k.startswith(prefix) and not k.endswith("cur_tasks")):
        np.testing.assert_allclose(state[key.removeprefix(prefix)], arrays[key], **TIGHT, err_msg=key)
    network.eval()
    logits = network(torch.tensor(arrays["eval_x"])).detach().numpy()
    np.testing.assert_allclose(logits, arrays[f"{run}_eval_logits"], **TIGHT)
