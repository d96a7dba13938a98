"""Initial weights, training and every measure equal the formulas of the authors' script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.methods.continual.rich_lazy import measures
from workbench.methods.continual.rich_lazy.initial import cut
from workbench.methods.continual.rich_lazy.rnn import RNN

ARRAYS = dict(np.load(Path(__file__).parents[3] / "golden" / "richlazy_rnn.npz"))
RANKS = [int(r) for r in ARRAYS["ranks"]]
SHARED = {"W0_full", "Win", "Wo", "x", "labels", "ranks", "alpha", "lr", "momentum", "steps"}


@pytest.mark.parametrize("rank", RANKS)
def test_a_training_and_what_is_measured_of_it_are_the_authors(rank):
    given = {k: torch.tensor(ARRAYS[k]) for k in ("W0_full", "Win", "Wo", "x", "labels")}
    network = RNN(given["Win"], cut(given["W0_full"], rank), given["Wo"], alpha=float(ARRAYS["alpha"]))
    x, labels = given["x"], given["labels"]
    W0, hidden0 = network.weight.detach().clone(), network.hidden(x).detach()

    def kernel() -> torch.Tensor:
        return measures.tangent_kernel(lambda weight: network(x, weight)[-1], network.weight)

    out0, K0 = network(x)[-1].detach(), kernel()
    optimizer = torch.optim.SGD(network.parameters(), float(ARRAYS["lr"]), momentum=float(ARRAYS["momentum"]))
    losses = []
    for _ in range(int(ARRAYS["steps"])):
        loss = F.cross_entropy(network(x)[-1], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    hidden, Kf = network.hidden(x).detach(), kernel()
    stable, entropy, participation = measures.effective_ranks(torch.linalg.svdvals(W0))
    found = {
        "W_init": W0, "W_final": network.weight.detach(), "out0": out0, "loss": losses, "K0": K0, "Kf": Kf,
        "delta_W_norm": torch.linalg.norm(network.weight.detach() - W0),
        "sign_similarity": measures.sign_similarity(hidden, hidden0),
        "rep_alignment": measures.alignment(measures.gram(hidden[-1]), measures.gram(hidden0[-1])),
        "ntk_alignment": measures.alignment(Kf, K0),
        "effective_rank_stable": stable, "effective_rank_entropy": entropy, "participation_ratio": participation,
    }  # fmt: skip
    for name, value in found.items():
        value = torch.as_tensor(value).detach().numpy()
        np.testing.assert_allclose(value, ARRAYS[f"r{rank}_{name}"], rtol=1e-7, atol=1e-12, err_msg=name)
    assert {f"r{r}_{n}" for r in RANKS for n in found} | SHARED == set(ARRAYS)
