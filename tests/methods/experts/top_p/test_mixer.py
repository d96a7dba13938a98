"""Numbers of experts, choices, weights and the balancing loss against the authors'; gradients against finite ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.cards import InvalidValue
from workbench.methods.experts.top_p import mixer
from workbench.models.moe_gpt import Experts

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.fixture(params=["topp_4r1n2s", "topp_6r0n0s", "topp_8r2n1s"])
def arrays(request):
    return {n: torch.from_numpy(a) for n, a in np.load(GOLDEN / f"{request.param}.npz").items()}


def near(found, expected, atol=1e-10):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_numbers_choices_weights_and_the_loss_are_the_authors(arrays):
    logits, dynamic = arrays["logits"], int(arrays["n_routed"] + arrays["n_null"])
    k = mixer.number(logits[:, :dynamic], float(arrays["top_p"]))
    assert torch.equal(k, arrays["k"])
    weights, chosen = mixer.mix(logits[:, :dynamic], k, float(arrays["jitter_eps"]))
    assert torch.equal(chosen.to(arrays["mask"]), arrays["mask"][:, :dynamic])
    near(weights, arrays["routing_weights"])
    routed, shared = mixer.shares(logits, weights, chosen)
    near(torch.cat([routed, shared], -1), arrays["global_weight"])
    near(mixer.balance_loss(logits[:, :dynamic], chosen), arrays["aux_loss"], 1e-6)


def logits(tokens=40, experts=5, seed=0):
    return torch.randn(tokens, experts, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_number_is_the_smallest_that_gathers_the_mass():
    given = torch.tensor([[0.5, 0.3, 0.2]]).log()
    found = [mixer.number(given, p).item() for p in (0.0, 0.4, 0.51, 0.79, 0.81, 1.0)]
    assert found == [1, 1, 2, 2, 3, 3]
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidValue, match="top_p must lie between 0 and 1"):
            mixer.number(given, p)


def test_without_jitter_weights_are_even_and_with_much_they_follow_the_logits():
    given, k = logits(), torch.full((40,), 2)
    weights, chosen = mixer.mix(given, k, 0.0)
    near(weights[chosen], torch.full((80,), 0.5, dtype=torch.float64), 1e-6)
    softer, again = mixer.mix(given, k, 0.3)
    assert torch.equal(chosen, again)
    assert softer[chosen].std() > 0.01


def test_drawing_takes_k_different_experts_and_with_much_jitter_not_always_the_highest():
    given, k = logits(400), torch.arange(400) % 5 + 1
    weights, chosen = mixer.mix(given, k, 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(chosen.sum(1), k)
    assert not weights[~chosen].any()
    near(weights.sum(1), torch.ones(400, dtype=torch.float64), 1e-4)
    _, highest = mixer.mix(given, k, 0.3)
    assert 0.02 < (chosen != highest).any(1).double().mean() < 0.98
    again = mixer.mix(given, k, 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(again[0], weights)


def test_the_estimated_gradient_is_that_of_the_softmax_among_the_candidates():
    """One round in which all are candidates: the multiplier before it is scaled is a softmax at the drawn expert."""
    given = (1 + 0.01 * logits(6, 3)).requires_grad_()
    scale = torch.full((6, 1), 0.3333, dtype=torch.float64)
    drawn = torch.tensor([[0], [1], [2], [0], [1], [2]])
    gates = given.softmax(-1)
    multiplier = mixer._Estimate.apply(given, gates.gather(-1, drawn).detach(), drawn, gates.detach(), scale)
    (found,) = torch.autograd.grad(multiplier.sum(), given)
    (expected,) = torch.autograd.grad(given.softmax(-1).gather(-1, drawn).sum(), given)
    near(found, expected, 1e-12)
    near(multiplier, scale * gates.gather(-1, drawn), 1e-12)


def test_evaluation_has_the_gradient_of_what_it_computes():
    given, k = (3 + logits(8)).requires_grad_(), torch.arange(8) % 3 + 1

    def value(x):
        weights, chosen = mixer.mix(x, k, 0.3)
        return (mixer.shares(torch.cat([x, x[:, :1]], 1), weights, chosen)[0] * torch.arange(5)).sum()

    assert torch.autograd.gradcheck(value, (given,))


def routes(**settings):
    torch.manual_seed(0)
    made = SimpleNamespace(**{"top_p": 0.7, "top_k": 2, "jitter": 0.01, **settings})
    return mixer.TopP(6, 3, 2, 1, made, lambda: torch.Generator().manual_seed(0), std=1.0).double().eval(), made


def test_settings_move_a_router_live():
    router, made = routes()
    x = logits(50, 6)
    some = router(x).numbers
    made.top_p = 0.95
    more = router(x).numbers
    assert (more >= some).all()
    assert more.sum() > some.sum()
    made.top_p, made.top_k = 0.0, 4
    assert (router(x).numbers == 4).all()


def test_null_experts_take_weight_away_and_shared_ones_always_run():
    router, _ = routes()
    torch.manual_seed(1)
    experts, shared = Experts(3, 6, 4).double(), Experts(1, 6, 4).double()
    x = logits(50, 6)
    out, routing = mixer.WithShared(experts, router, shared)(x)
    full = torch.zeros(50, 5, dtype=torch.float64)
    full[routing.token, routing.expert] = routing.weight
    expected = sum(full[:, e, None] * experts.one(e, x) for e in range(3)) + routing.shared * shared.one(0, x)
    near(out, expected, 1e-12)
    near(full.sum(1) + routing.shared[:, 0], torch.ones(50, dtype=torch.float64), 1e-5)
    assert full[:, 3:].any()


def test_without_shared_experts_the_routed_ones_have_all_the_weight():
    weights, chosen = mixer.mix(logits(), torch.full((40,), 2), 0.1)
    routed, shared = mixer.shares(logits(), weights, chosen)
    assert routed is weights
    assert shared.shape == (40, 0)
