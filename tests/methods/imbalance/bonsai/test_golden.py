"""Episodes of training, groups, pseudo-labels and the merged head are those of the authors' code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.methods.imbalance.bonsai import ood, rounds
from workbench.methods.imbalance.bonsai.look import accuracy, right
from workbench.methods.imbalance.bonsai.network import Network
from workbench.methods.imbalance.bonsai.objective import Seen, objective, squared

ARRAYS = dict(np.load(Path(__file__).parents[3] / "golden" / "rfc_episodes.npz"))
X = [torch.tensor(ARRAYS[f"x{i}"]).double() for i in (0, 1)]
Y = [torch.tensor(ARRAYS[f"y{i}"]).squeeze(1) for i in (0, 1)]
LR, L2, STEPS = float(ARRAYS["lr"]), float(ARRAYS["l2"]), int(ARRAYS["steps"])
WEIGHT = float(ARRAYS["penalty_weight"])
INSIDE = ("main.0.weight", "main.0.bias", "main.2.weight", "main.2.bias")


def same(name: str, value: object, atol: float = 1e-8) -> None:
    found = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    np.testing.assert_allclose(found, ARRAYS[name], rtol=1e-8, atol=atol, err_msg=name)


def start() -> Network:
    network = Network(hidden=8, rounds=2).double()
    given = {f"inside.{n.removeprefix('main.')}": ARRAYS[f"init__{n}"] for n in INSIDE}
    given |= {f"head.{n}": ARRAYS[f"init_lin1.{n}"] for n in ("weight", "bias")}
    given |= {f"tasks.{n}": ARRAYS[f"syn_init_lin1.{n}"] for n in ("weight", "bias")}
    network.load_state_dict({name: torch.tensor(value) for name, value in given.items()})
    return network


@pytest.mark.parametrize(("case", "method"), [("dro", "group_dro"), ("vrex", "vrex"), ("irm", "irm")])
def test_an_episode_of_a_method_is_the_authors(case, method):
    network = start()
    trained = (*network.inside.parameters(), *network.head.parameters())
    optimizer = torch.optim.Adam(trained, lr=LR)
    losses, accuracies, penalties = [], [], []
    for _ in range(STEPS):
        seen = Seen(tuple(network(x) for x in X), tuple(Y), trained)
        found = objective(ood.method(method), seen, penalty_weight=WEIGHT, decay=L2 * squared(trained))
        penalties.append(found.penalty)
        optimizer.zero_grad()
        found.loss.backward()
        optimizer.step()
        with torch.no_grad():
            after = [(network(x), y) for x, y in zip(X, Y, strict=True)]
        losses.append(np.mean([float(F.binary_cross_entropy_with_logits(z, y)) for z, y in after]))
        accuracies.append(np.mean([accuracy(z, y) / 100 for z, y in after]))
    same(f"{case}_train_loss_per_step", losses)
    same(f"{case}_train_acc_per_step", accuracies, atol=1e-7)  # float32 there
    if case != "dro":
        same(f"{case}_penalty_per_step", torch.stack(penalties))
    same(f"{case}_final_norm__main.0.weight", network.inside[0].weight.norm())
    for name in INSIDE[1:]:
        same(f"{case}_final__{name}", network.inside.get_parameter(name.removeprefix("main.")))
    for name, value in network.head.named_parameters():
        same(f"{case}_final_lin1.{name}", value)
    if case == "dro":
        both, y = network(torch.cat(X)), torch.cat(Y)
        correct = right(both, y)
        np.testing.assert_array_equal(correct.numpy(), ARRAYS["group_correct_after_dro"])
        same("pseudolabel_after_dro", rounds.pseudo_labels(correct[None], y)[0])


def test_synthesis_and_the_merged_head_are_the_authors():
    network = start()
    trained = (*network.inside.parameters(), *network.tasks.parameters())
    optimizer = torch.optim.Adam(trained, lr=LR)
    targets = torch.tensor(ARRAYS["syn_targets"])
    for _ in range(STEPS):
        logits = network.answers(network.features(X[0]), 2)
        loss = F.binary_cross_entropy_with_logits(logits, targets) + L2 * squared(trained)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    same("syn_final_logits", network.answers(network.features(X[0]), 2))
    same("syn_final_lin1.weight", network.tasks.weight)
    same("syn_final_lin1.bias", network.tasks.bias)
    network.merge(2)
    same("merged_head_weight", network.head.weight)
    same("merged_head_bias", network.head.bias)
