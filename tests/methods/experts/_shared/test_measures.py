"""What is read off a routing, against recorded statistics and by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from workbench.methods.experts._shared import measures
from workbench.models.moe_gpt import top_k_routing

ARRAYS = {
    n: torch.from_numpy(a)
    for n, a in np.load(Path(__file__).parents[3] / "golden" / "coselect_e8k2.npz").items()
}  # fmt: skip
EXPERTS = int(ARRAYS["n_experts"])


def near(found, expected, atol=1e-12):
    torch.testing.assert_close(found.double(), expected.double(), rtol=0, atol=atol)


def test_co_selection_statistics_are_the_recorded_ones():
    both = measures.together(ARRAYS["topk_idx"], EXPERTS).double()
    near(both, ARRAYS["cocount"])
    near(measures.conditional(both), ARRAYS["conditional"])
    near(measures.jaccard(both), ARRAYS["jaccard"])
    near(measures.lift(both, len(ARRAYS["topk_idx"])), ARRAYS["lift"])


def test_loads_and_their_imbalance_are_the_recorded_ones():
    load = measures.shares(torch.bincount(ARRAYS["topk_idx"].flatten(), minlength=EXPERTS).double())
    near(load, ARRAYS["load"] / ARRAYS["load"].sum())
    near(measures.entropy(load) / math.log(EXPERTS), ARRAYS["load_entropy"])
    near(measures.max_violation(load), ARRAYS["maxvio"])


def test_slots_are_counted_by_layer_kind_and_expert():
    scores = torch.zeros(3, 4)
    layers = [torch.tensor([[0, 1], [0, 2], [3, 1]]), torch.tensor([[2, 3], [2, 3], [0, 1]])]
    routings = [top_k_routing(c, torch.ones(3, 2), scores, scores, scores) for c in layers]
    found = measures.stacked_slots(routings, torch.tensor([0, 0, 1]), 2)
    assert found.tolist() == [[[2, 1, 1, 0], [0, 1, 0, 1]], [[0, 0, 2, 2], [1, 1, 0, 0]]]


def test_specialisation_is_one_where_the_expert_tells_the_domain_and_zero_where_it_tells_nothing():
    assert measures.specialisation(torch.eye(4)).item() == 1
    assert measures.specialisation(torch.full((4, 4), 0.25)).item() == 0
    half = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    near(measures.specialisation(half), torch.tensor(1.0), 1e-6)


def test_an_expert_is_dead_after_its_share_fell_below_a_twentieth_of_an_even_one():
    deaths = measures.Deaths()
    even, starved = torch.full((1, 2), 0.5), torch.tensor([[1.0, 0.0]])
    deaths.update(even)
    assert [deaths.update(starved).item() for _ in range(49)] == [0] * 19 + [1] * 30
    assert deaths.update(even).item() == 1
    again = measures.Deaths()
    again.load_state_dict(deaths.state_dict())
    assert torch.equal(again.update(even), deaths.update(even))


def test_interference_is_the_cosine_of_two_gradients():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    same = measures.interference((w * torch.tensor([3.0, 0.0])).sum(), (w * torch.tensor([1.0, 0.0])).sum(), [w])
    apart = measures.interference((w * torch.tensor([1.0, 1.0])).sum(), (w * torch.tensor([-1.0, 0.0])).sum(), [w])
    near(torch.cat([same, apart]), torch.tensor([1.0, -(0.5**0.5)]), 1e-6)
