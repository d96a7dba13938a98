"""The average with its coefficients, and the similarity of instructions, equal what the authors' code computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench.methods.continual.coin.dema import DynamicEma
from workbench.methods.continual.coin.grouping import mean_similarity, similarity
from workbench.methods.continual.coin.lora import adapter, apply_lora

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 1e-9, "atol": 1e-12}


def model_of(arrays: dict[str, np.ndarray]) -> nn.Module:
    base = nn.Linear(*arrays["W"].shape[::-1], bias=False).double()
    base.weight.data = torch.tensor(arrays["W"])
    model = apply_lora(nn.Sequential(base), int(arrays["rank"]), float(arrays["lora_alpha"]))
    with torch.no_grad():
        for name, parameter in adapter(model).items():
            parameter.copy_(torch.tensor(arrays[f"{name[-1]}0"]))
    return model


@pytest.mark.parametrize("name", ["sgd", "adamw", "fallback"])
def test_every_step_of_the_average_and_every_replacement_is_the_authors(name):
    arrays = dict(np.load(GOLDEN / f"coin_dema_{name}.npz"))
    model = model_of(arrays)
    tensors = adapter(model)
    ema, compared, fired = DynamicEma(tensors), set(), 0
    per_task, tasks, lr = int(arrays["steps_per_task"]), int(arrays["tasks"]), float(arrays["lr"])

    def same(key: str, value: object) -> None:
        compared.add(key)
        np.testing.assert_allclose(np.asarray(value), arrays[key], **TIGHT, err_msg=key)

    for task in range(tasks):
        kind = torch.optim.AdamW if str(arrays["optimizer"]) == "adamw" else torch.optim.SGD
        optimizer = kind(tensors.values(), lr, weight_decay=0.0)
        ema.begin()
        for step in range(task * per_task, (task + 1) * per_task):
            at = f"s{step:02d}_"
            x, y = torch.tensor(arrays[f"{at}x"]), torch.tensor(arrays[f"{at}y"])
            compared |= {f"{at}x", f"{at}y"}
            loss = float(arrays["loss_scale"]) * (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            moved = ema.update()
            same(f"{at}loss", loss.item())
            for i, (full, tensor) in enumerate(tensors.items()):
                n = full[-1]
                same(f"{at}theta_{n}", tensor.detach())
                same(f"{at}grad_{n}", tensor.grad)
                same(f"{at}ema_{n}", ema.average[full])
                same(f"{at}raw_{n}", moved.raw[i])
                same(f"{at}alpha_{n}", moved.alpha[i])
                same(f"{at}abc_{n}", moved.norms[i])
                assert moved.dynamic[i] == (0 < arrays[f"{at}raw_{n}"] < 1)
                fired += moved.dynamic[i]
        ema.replace()
        for full, tensor in tensors.items():
            same(f"task{task}_replaced_{full[-1]}", tensor.detach())
    constants = {"W", "A0", "B0", "lora_alpha", "rank", "lr", "loss_scale", "steps_per_task", "tasks", "optimizer"}
    assert compared | constants == set(arrays)
    assert fired == {"sgd": 4, "adamw": 6, "fallback": 0}[name]


def test_the_similarity_of_instructions_is_the_authors():
    arrays = dict(np.load(GOLDEN / "coin_grouping.npz"))
    lists = {n: [str(s) for s in arrays[n]] for n in "abcd"}
    for key in [k for k in arrays if k.startswith("sim_")]:
        found = [[similarity(one, other) for other in lists[key[5]]] for one in lists[key[4]]]
        np.testing.assert_allclose(found, arrays[key], **TIGHT, err_msg=key)
    for key in [k for k in arrays if k.startswith("mean_")]:
        np.testing.assert_allclose(mean_similarity(lists[key[5]], lists[key[6]]), arrays[key], **TIGHT, err_msg=key)
