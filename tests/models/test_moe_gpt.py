"""The byte-level mixture of experts: dispatch against a plain loop, causality, null experts, heads, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.models.moe_gpt import Experts, MoE, MoEGPT, Routing, Shape, TopK, top_k_routing

LING = Path(__file__).parents[1] / "golden" / "ling_stability.npz"
TINY = {"width": 16, "heads": 2, "layers": 2, "length": 12, "experts": 4, "hidden": 8}


def model(**sizes):
    torch.manual_seed(0)
    return MoEGPT(Shape(**{**TINY, **sizes})).double()


def tokens(batch=3, length=12):
    return torch.randint(256, (batch, length), generator=torch.Generator().manual_seed(1))


def naive(experts, x, routing):
    """Each slot by itself, in the order of the slots."""
    out = torch.zeros_like(x)
    for token, expert, weight in zip(routing.token.tolist(), routing.expert.tolist(), routing.weight, strict=True):
        if expert < experts.number:
            inner = experts.activation(experts.up[expert] @ x[token])
            if experts.linear is not None:
                inner = inner * (experts.linear[expert] @ x[token])
            out = out.index_add(0, torch.tensor([token]), (weight * (experts.down[expert] @ inner))[None])
    return out


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("null", [0, 2])
def test_dispatch_equals_a_loop_over_slots_in_value_and_gradient(gated, null):
    torch.manual_seed(0)
    experts = Experts(4, 6, 5, gated=gated, activation="silu").double()
    x = torch.randn(20, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(40, dtype=torch.float64, requires_grad=True)
    chosen = torch.stack([torch.randperm(4 + null)[:2] for _ in range(20)])
    logits = torch.zeros(20, 4 + null)
    routing = top_k_routing(chosen, weight.view(20, 2), logits, logits, logits)
    inputs = [x, weight, *experts.parameters()]
    pull = torch.randn(20, 6, dtype=torch.float64)
    found, expected = experts(x, routing), naive(experts, x, routing)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(
        torch.autograd.grad((found * pull).sum(), inputs), torch.autograd.grad((expected * pull).sum(), inputs),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_null_experts_give_nothing():
    experts = Experts(2, 6, 5)
    logits = torch.zeros(3, 4)
    routing = top_k_routing(torch.tensor([[2], [3], [2]]), torch.ones(3, 1), logits, logits, logits)
    assert torch.equal(experts(torch.randn(3, 6), routing), torch.zeros(3, 6))


def test_slots_may_be_of_any_number_a_token():
    experts = Experts(3, 6, 5).double()
    x = torch.randn(4, 6, dtype=torch.float64)
    logits = torch.zeros(4, 3)
    token, expert = torch.tensor([0, 0, 0, 2]), torch.tensor([2, 0, 1, 1])
    routing = Routing(token, expert, torch.tensor([0.5, 0.2, 0.3, 2.0]).double(), logits, logits)
    torch.testing.assert_close(experts(x, routing), naive(experts, x, routing), rtol=1e-12, atol=1e-12)
    assert routing.counts.tolist() == [1, 2, 1]


def test_a_forward_pass_has_logits_and_a_routing_a_layer():
    out = model()(tokens())
    assert out.logits.shape == (3, 12, 256)
    assert len(out.routings) == 2
    for routing in out.routings:
        assert routing.chosen.shape == (36, 2)
        assert routing.logits.shape == routing.probabilities.shape == (36, 4)
        assert routing.counts.sum() == 72
        torch.testing.assert_close(routing.weight.view(36, 2).sum(1), torch.ones(36).double())


def test_a_dense_model_has_no_router():
    dense = model(experts=1, top_k=1)
    assert dense.routers == []
    assert dense(tokens()).routings == []


@pytest.mark.parametrize("parallel", [False, True])
def test_no_byte_sees_a_later_one(parallel):
    net, one = model(parallel=parallel), tokens()
    other = one.clone()
    other[:, 7] = (other[:, 7] + 1) % 256
    before, after = net(one).logits, net(other).logits
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=1e-12)
    assert (before[:, 7:] - after[:, 7:]).abs().amax((0, 2)).min() > 1e-9


def test_selection_follows_score_plus_bias_and_weights_follow_the_score():
    torch.manual_seed(0)
    router = TopK(6, 4, 2, std=1.0)
    x = torch.randn(10, 6)
    router.bias[3] = 10
    routing = router(x)
    assert (routing.chosen[:, 0] == 3).all()
    taken = routing.probabilities.gather(1, routing.chosen)
    torch.testing.assert_close(routing.weight.view(10, 2), taken / taken.sum(1, keepdim=True))


def test_ties_go_to_the_lower_expert():
    router = TopK(6, 4, 2, std=0.0)
    assert router(torch.randn(5, 6)).chosen.tolist() == [[0, 1]] * 5


def test_sigmoid_scores_and_weights_that_need_not_add_up_to_one():
    torch.manual_seed(0)
    router = TopK(6, 4, 2, std=1.0, score="sigmoid", renormalise=False)
    routing = router(torch.randn(10, 6))
    expected = routing.logits.sigmoid().topk(2).values
    torch.testing.assert_close(routing.weight.view(10, 2), expected)


def test_the_normalised_head_is_lings():
    z = {n: torch.from_numpy(a) for n, a in np.load(LING).items()}
    vocabulary, width = z["weight"].shape
    torch.manual_seed(0)
    net = MoEGPT(Shape(vocabulary=vocabulary, width=width, heads=1, layers=1, length=8, norm_head=True)).double()
    with torch.no_grad():
        net.embedding.weight.copy_(z["weight"])
    logits = net.head(z["hidden"])
    loss = F.cross_entropy(logits, z["target"])
    loss.backward()
    torch.testing.assert_close(logits, z["logits"], rtol=0, atol=1e-12)
    torch.testing.assert_close(loss, z["loss"], rtol=0, atol=1e-12)
    torch.testing.assert_close(net.embedding.weight.grad, z["grad_weight"], rtol=0, atol=1e-12)


def test_routers_plug_in_by_layer():
    seen = []

    def router(layer):
        seen.append(layer)
        return TopK(16, 4, 1)

    net = MoEGPT(Shape(**TINY), router=router)
    assert seen == [0, 1]
    assert net(tokens()).routings[0].chosen.shape == (36, 1)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"width": 18, "heads": 4}, "width must be a multiple of heads; got 18 and 4"),
        ({"experts": 0}, "experts must be at least 1"),
        ({"top_k": 5}, "top_k between 1 and experts; got 4 and 5"),
        ({"length": 7}, "length must be at least 8 tokens; got 7"),
    ],
)
def test_impossible_shapes_are_refused(sizes, words):
    with pytest.raises(InvalidValue, match=words):
        Shape(**{**TINY, **sizes})


def test_a_longer_sequence_and_logits_that_are_not_finite_are_refused():
    net = model()
    with pytest.raises(InvalidValue, match="at most 12 tokens; got 13"):
        net(tokens(length=13))
    with torch.no_grad():
        net.routers[1].weight[0, 0] = float("nan")
    with pytest.raises(InvalidValue, match="logits are not finite"):
        net(tokens())


def test_a_mixture_without_router_is_its_one_expert():
    experts, x = Experts(1, 6, 5), torch.randn(4, 6)
    out, routing = MoE(experts, None)(x)
    assert routing is None
    assert torch.equal(out, experts.one(0, x))
