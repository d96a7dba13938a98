"""Layers with a scale adapter and with concatenated selection against the authors', and what weights tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.cards import InvalidValue
from workbench.methods.experts._shared import balance
from workbench.methods.experts.scale_adapter import router
from workbench.models.moe_gpt import Experts, MoE, top_k_routing

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.fixture(params=["adamoe_e4k1", "adamoe_e4k2"])
def arrays(request):
    return {n: torch.from_numpy(a) for n, a in np.load(GOLDEN / f"{request.param}.npz").items()}


def layer(arrays, variant):
    """Our layer with the recorded weights."""
    z = {n.split("/")[1]: a for n, a in arrays.items() if n.startswith(f"{variant}/")}
    width, number = z["w_gating"].shape
    experts = Experts(number, width, z["w_expert_output"].shape[1], gated=True, activation="gelu_tanh").double()
    routes = router.ScaledRouter(width, number, int(arrays["top_k"]), variant).double()
    with torch.no_grad():
        experts.up.copy_(z["w_expert_hidden"][0].transpose(1, 2))
        experts.linear.copy_(z["w_expert_hidden"][1].transpose(1, 2))
        experts.down.copy_(z["w_expert_output"].transpose(1, 2))
        routes.weight.copy_(z["w_gating"].T)
        if routes.adapter is not None:
            routes.adapter.copy_(z["w_gating_scale"].T)
    return MoE(experts, routes), z


@pytest.mark.parametrize("variant", ["adamoe", "csmoe"])
def test_the_layer_and_its_losses_are_the_authors(arrays, variant):
    mixture, z = layer(arrays, variant)
    out, routing = mixture(arrays["x"].flatten(0, 1))
    torch.testing.assert_close(out, z["y"].flatten(0, 1), rtol=0, atol=1e-7)
    k, number = int(arrays["top_k"]), mixture.experts.number
    ours = balance.load_balancing(routing, 1) * k / number**2
    torch.testing.assert_close(ours, z["load_balancing_loss"], rtol=0, atol=1e-7)
    torch.testing.assert_close(1e-4 * balance.z_loss(routing.logits), z["z_loss"], rtol=0, atol=1e-7)


def test_the_plain_mixture_weighs_with_the_probabilities_of_the_chosen(arrays):
    mixture, _ = layer(arrays, "vanilla")
    x = arrays["x"].flatten(0, 1)
    _, routing = mixture(x)
    expected = (x @ arrays["vanilla/w_gating"]).softmax(-1).topk(int(arrays["top_k"])).values
    torch.testing.assert_close(routing.weight.view(expected.shape), expected, rtol=0, atol=1e-12)


def test_the_adapter_weighs_without_selecting(arrays):
    mixture, _ = layer(arrays, "adamoe")
    x = arrays["x"].flatten(0, 1)
    before = mixture.router(x)
    with torch.no_grad():
        mixture.router.adapter.mul_(-50)
    after = mixture.router(x)
    assert torch.equal(before.chosen, after.chosen)
    assert after.weight.min() < 0
    assert after.weight.max() > 1


def dense(hidden=10):
    torch.manual_seed(0)
    return Experts(1, 6, hidden, gated=True, activation="gelu_tanh").double()


def test_copies_with_even_weights_and_the_right_scale_are_the_network():
    network, copies = dense(), Experts(4, 6, 10, gated=True, activation="gelu_tanh").double()
    router.upcycle(copies, network, scale=2.0, noise=0.0, generator=torch.Generator())
    x = torch.randn(5, 6, dtype=torch.float64)
    logits = torch.zeros(5, 4, dtype=torch.float64)
    chosen = torch.tensor([[0, 3]]).expand(5, 2)
    even = top_k_routing(chosen, torch.full((5, 2), 0.25, dtype=torch.float64), logits, logits, logits)
    torch.testing.assert_close(copies(x, even), network.one(0, x), rtol=1e-12, atol=1e-12)


def test_noise_parts_the_copies_by_its_standard_deviation():
    network, copies = dense(), Experts(4, 6, 10, gated=True).double()
    router.upcycle(copies, network, scale=1.0, noise=0.05, generator=torch.Generator().manual_seed(0))
    parted = (copies.up - network.up).flatten()
    assert parted.std().item() == pytest.approx(0.05, rel=0.2)
    assert (copies.up[0] - copies.up[1]).abs().max() > 0.01


def test_a_network_with_another_number_of_hidden_units_is_refused():
    with pytest.raises(InvalidValue, match="hidden units, 8; got 10"):
        router.upcycle(Experts(4, 6, 10, gated=True), dense(8), scale=1.0, noise=0.0, generator=torch.Generator())


def routed(logits, weight):
    chosen = logits.topk(weight.shape[1]).indices
    return top_k_routing(chosen, weight.flatten(), logits, logits.softmax(-1), logits)


def test_coupling_is_one_for_weights_that_follow_the_logit_and_nothing_for_fixed_ones():
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    high = logits.topk(2).values
    assert router.coupling(routed(logits, 0.1 + 0.3 * high)).item() == pytest.approx(1)
    assert router.coupling(routed(logits, 1 - high)).item() == pytest.approx(-1)
    assert router.coupling(routed(logits, torch.ones(50, 2, dtype=torch.float64))).item() == 0


def test_a_share_is_that_of_the_largest_weight_by_size():
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    weight = torch.tensor([[0.5, 0.5], [0.9, 0.0], [-0.75, 0.25]])
    assert router.gate_share(routed(logits, weight)).tolist() == pytest.approx([0.5, 1.0, 0.75])


def test_the_cloud_counts_every_slot_by_weight_and_probability():
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    found = router.cloud(routed(logits, torch.tensor([[1.45], [9.0]])))
    assert found.sum() == 2
    assert found[0, 17] == 1  # probability .88, weight in the highest bin
    assert found[0, 19] == 1  # a weight beyond stands in the end bin
