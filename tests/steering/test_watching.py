"""`watch` records what the generic detectors read, and changes nothing."""

from __future__ import annotations

import pytest
import torch

import workbench
from workbench.cards import InvalidValue


def train(watching: bool) -> torch.Tensor:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    net[0].bias.data[:3] = -100.0  # three units that never fire
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with workbench.session(experiment="my/watched", mlflow=False) as s:
        watch = workbench.watch(net, optimizer, every=2) if watching else None
        torch.manual_seed(1)
        for _ in s.steps(140):
            loss = net(torch.randn(16, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if watch:
            watch.close()
    return torch.cat([p.flatten() for p in net.parameters()])


def test_ratios_and_activity_are_recorded_and_dead_units_found():
    train(watching=True)
    run = workbench.run()
    assert run.reader.arrays("update_ratio").values.shape == (70, 2)
    activity = run.reader.arrays("1.activity").values
    assert activity.shape == (70, 8)
    assert (activity[:, :3] == 0).all()
    assert len(run["grad_norm"]) == 70
    found = next(f for f in run.findings if f.id == "dead_units")
    assert "3 of 8" in found.sentence


def test_training_is_the_same_with_and_without():
    assert torch.equal(train(watching=True), train(watching=False))


@pytest.mark.parametrize(("net", "every", "words"), [(torch.nn.ReLU(), 5, "no trainable"), (None, 0, "at least 1")])
def test_what_cannot_be_watched_is_said(net, every, words):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(InvalidValue, match=words):
        workbench.watch(net or torch.nn.Linear(2, 2), optimizer, every=every)
