"""NormHead and the stochastic warm-up against golden vectors, and the plan of anomalies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.methods.experts.anomalies.knobs import KINDS
from workbench.methods.experts.anomalies.plan import WIDE, Plan
from workbench.methods.experts.anomalies.warmup import WarmRouter, mixed
from workbench.models.moe_gpt import MoEGPT, Shape, normalised_columns

GOLDEN = {
    name: torch.from_numpy(np.asarray(array))
    for name, array in np.load(Path(__file__).parents[3] / "golden" / "ling_stability.npz").items()
}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def plan(seed=0):
    return Plan(lambda *keys: np.random.default_rng([seed, *(sum(map(ord, str(k))) for k in keys)]))


def test_the_normed_head_has_the_authors_logits_loss_and_gradient():
    weight = GOLDEN["weight"].clone().requires_grad_()
    logits = F.linear(GOLDEN["hidden"], normalised_columns(weight))
    loss = F.cross_entropy(logits, GOLDEN["target"])
    loss.backward()
    torch.testing.assert_close(logits, GOLDEN["logits"], **EXACT)
    torch.testing.assert_close(loss, GOLDEN["loss"], **EXACT)
    torch.testing.assert_close(weight.grad, GOLDEN["grad_weight"], **EXACT)


def test_the_model_takes_it_for_its_head():
    torch.manual_seed(0)
    network = MoEGPT(Shape(width=16, layers=1, hidden=8, experts=2, length=8, norm_head=True))
    x = torch.randn(3, 16)
    expected = x @ (network.embedding.weight / network.embedding.weight.norm(dim=0)).T
    torch.testing.assert_close(network.head(x), expected, rtol=1e-4, atol=1e-5)


def test_mixed_logits_are_those_of_the_formula():
    s, noise = GOLDEN["router_logits"], GOLDEN["noise"]
    torch.testing.assert_close(s.mean(), GOLDEN["mu"], **EXACT)
    torch.testing.assert_close(s.std(correction=0), GOLDEN["sigma"], **EXACT)
    for alpha, expected in zip(GOLDEN["alpha"].tolist(), GOLDEN["mixed_logits"], strict=True):
        torch.testing.assert_close(mixed(s, noise, alpha, GOLDEN["mu"], GOLDEN["sigma"]), expected, **EXACT)


def test_a_warm_router_is_noise_of_its_logits_size_at_first_and_itself_at_last_and_in_evaluation():
    torch.manual_seed(0)
    router, x = WarmRouter(8, 4, 2, std=1.0), torch.randn(4000, 8)
    plain = F.linear(x, router.weight)
    router.alpha, router.generator = 0.0, torch.Generator().manual_seed(1)
    noise = router.logits(x).detach()
    assert abs(np.corrcoef(noise.flatten(), plain.detach().flatten())[0, 1]) < 0.05
    assert float(noise.std()) == pytest.approx(float(plain.detach().std()), rel=0.05)
    router.alpha = 1.0
    assert torch.equal(router.logits(x), plain)
    router.alpha = 0.0
    assert torch.equal(router.eval().logits(x), plain)


def test_a_warm_router_draws_from_its_generator_alone():
    router, x = WarmRouter(8, 4, 2, std=1.0), torch.randn(5, 8)
    drawn = []
    for _ in range(2):
        fresh = WarmRouter(8, 4, 2, std=1.0)
        fresh.load_state_dict(router.state_dict())
        fresh.alpha, fresh.generator = 0.3, torch.Generator().manual_seed(2)
        drawn.append(fresh.logits(x))
    assert torch.equal(*drawn)


def test_one_anomaly_stands_in_each_stretch_but_the_first_and_all_kinds_take_turns():
    made = plan()
    kinds = [made.at(step, 60, "all") for step in range(300)]
    assert not any(kinds[:60])
    starts = [[k for k in kinds[s : s + 60] if k] for s in range(60, 300, 60)]
    assert sorted(found[0] for found in starts) == [1, 2, 3, 4]
    assert sorted(map(len, starts)) == [1, 1, 1, WIDE]


def test_the_plan_follows_from_the_seed_and_none_is_none():
    told = []
    for seed in (0, 0, 1):
        made = plan(seed)
        told.append([made.at(step, 60, "all") for step in range(300)])
    assert told[0] == told[1] != told[2]
    assert not any(plan().at(step, 60, "none") for step in range(300))
    chosen = plan()
    assert {chosen.at(step, 60, "moments") for step in range(300)} == {0, KINDS.index("moments")}


def test_what_a_button_adds_is_kept_with_the_state():
    made = plan()
    made.add("wide", 5)
    again = plan()
    again.load_state_dict(made.state_dict())
    assert [again.at(step, 60, "none") for step in range(4, 12)] == [0, *[2] * WIDE, 0]
