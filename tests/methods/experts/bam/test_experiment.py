"""Attention experts, mixing and the whole experiment: exact where they must be, each knob, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.experts.bam.attention import AttentionExperts
from workbench.methods.experts.bam.detect import AttentionCollapse
from workbench.methods.experts.bam.mixing import Team, attention_cosines, mix
from workbench.models.moe_gpt import Attention, MoEGPT, Shape, TopK
from workbench.runs import Store, compose, launch

EXPERIMENT = "experts/bam"
DENSE = Shape(vocabulary=40, width=16, heads=2, layers=2, length=10, experts=1, hidden=20, top_k=1, parallel=True)
TOKENS = torch.randint(0, 40, (4, 10), generator=torch.Generator().manual_seed(1))


def dense(seed, shape=DENSE):
    torch.manual_seed(seed)
    return MoEGPT(shape).double()


def mixture(number, attention, top_k=2):
    torch.manual_seed(9)
    makers = {
        "averaged": lambda layer: Attention(16, 2),
        "experts": lambda layer: AttentionExperts(16, 2, number, shared=False),
        "experts_shared_kv": lambda layer: AttentionExperts(16, 2, number, shared=True),
    }
    shape = replace(DENSE, experts=number, top_k=top_k)
    return MoEGPT(shape, lambda layer: TopK(16, number, top_k, std=0.5), makers[attention]).double()


def layers(number):
    torch.manual_seed(2)
    return [Attention(16, 2).double() for _ in range(number)]


X = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_attention_experts_are_the_weighted_sum_of_their_layers():
    parts, experts = layers(3), AttentionExperts(16, 2, 3, shared=False, std=1.0).double()
    experts.fill(parts)
    weights = (X @ experts.router.T).softmax(-1)
    expected = sum(weights[..., e, None] * parts[e](X) for e in range(3))
    torch.testing.assert_close(experts(X), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(experts.probabilities, weights.detach().flatten(0, 1))


def test_shared_keys_and_values_are_the_mean():
    parts, experts = layers(2), AttentionExperts(16, 2, 2, shared=True, std=1.0).double()
    experts.fill(parts)
    kv = torch.stack([p.qkv.weight[16:] for p in parts]).mean(0)
    for p in parts:
        p.qkv.weight.data[16:] = kv
    weights = (X @ experts.router.T).softmax(-1)
    expected = sum(weights[..., e, None] * parts[e](X) for e in range(2))
    torch.testing.assert_close(experts(X), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("top_k", [1, 2])
def test_with_few_attention_experts_a_byte_the_others_weigh_nothing(top_k):
    experts = AttentionExperts(16, 2, 4, shared=False, top_k=top_k, std=1.0).double()
    weights = experts.weigh(X)
    assert ((weights > 0).sum(-1) == top_k).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 7, dtype=torch.float64))
    soft = (X @ experts.router.T).softmax(-1)
    assert (weights.argmax(-1) == soft.argmax(-1)).all()


@pytest.mark.parametrize("attention", ["averaged", "experts", "experts_shared_kv"])
def test_equal_specialists_mix_to_what_each_of_them_computes(attention):
    specialists = [dense(0) for _ in range(3)]
    mixed = mixture(3, attention)
    mix(specialists, mixed, dense(5))
    torch.testing.assert_close(mixed(TOKENS).logits, specialists[0](TOKENS).logits, rtol=1e-10, atol=1e-10)


def test_each_specialist_is_one_expert_and_all_else_their_mean():
    specialists = [dense(0), dense(0)]
    with torch.no_grad():
        for p in specialists[1].parameters():
            p += 0.01 * torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(4))
    mixed = mixture(2, "experts")
    mix(specialists, mixed, dense(5))
    for e, model in enumerate(specialists):
        for new, old in zip(mixed.blocks, model.blocks, strict=True):
            assert torch.equal(new.moe.experts.up[e], old.moe.experts.up[0])
            assert torch.equal(new.moe.experts.down[e], old.moe.experts.down[0])
            assert torch.equal(new.attention.q[e], old.attention.qkv.weight[:16])
            assert torch.equal(new.attention.out[e], old.attention.out.weight)
    mean = (specialists[0].embedding.weight + specialists[1].embedding.weight) / 2
    torch.testing.assert_close(mixed.embedding.weight, mean)


def test_specialists_that_do_not_fit_are_refused_and_strangers_warned_of():
    with pytest.raises(InvalidValue, match="At least two specialists"):
        mix([dense(0)], mixture(2, "experts"), dense(5))
    with pytest.raises(InvalidValue, match="one shape"):
        mix([dense(0), dense(0, replace(DENSE, hidden=12))], mixture(2, "experts"), dense(5))
    with pytest.raises(InvalidValue, match="needs as many specialists; got 2"):
        mix([dense(0), dense(0)], mixture(3, "experts"), dense(5))
    with pytest.warns(UserWarning, match="different seeds"):
        mix([dense(0), dense(1)], mixture(2, "averaged"), dense(5))


def test_a_team_gives_each_sequence_to_its_specialist():
    team = Team([dense(0), dense(1)])
    domain = torch.tensor([1, 0, 1, 0])
    logits = team(TOKENS, domain).logits
    for row in range(4):
        alone = team.specialists[int(domain[row])](TOKENS[row : row + 1]).logits
        torch.testing.assert_close(logits[row : row + 1], alone, rtol=1e-10, atol=1e-12)
    assert attention_cosines([dense(0), dense(0)]).min().item() == pytest.approx(1)


# -- the whole experiment ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a finished smoke run."""
    store = Store(tmp_path_factory.mktemp("bam") / "store")

    def run(arm, **overrides):
        made = launch(EXPERIMENT, arm=arm, preset="smoke", store=store, overrides={"tracking": "off", **overrides})
        assert made.wait(240) == "finished", made.message
        return made

    return run


@pytest.fixture(scope="module")
def bam(start):
    return start("bam", **{"run.checkpoint_every": 5})


def test_where_they_are_mixed_all_kinds_of_attention_are_compared(bam, start):
    btx = start("btx")
    for name in ("merge_loss", "merge_damage"):  # do not depend on which of them trains on
        np.testing.assert_allclose(*(r.reader.scalars(name).values for r in (bam, btx)), rtol=0, atol=1e-6)
    values = {r: r.reader.scalars("mixing_loss").values[0] for r in (bam, btx)}
    damage = bam.reader.scalars("merge_damage").values[0]
    assert values[btx] - values[bam] == pytest.approx(damage, abs=1e-6)
    assert btx.reader.scalars("merge_loss").values[0] == pytest.approx(values[btx], abs=1e-6)
    assert "attention_load" not in btx.reader.names()


def test_a_soft_mix_of_attention_costs_more_and_the_branch_as_much_as_the_seed(bam, start):
    spent = np.diff(bam.reader.scalars("flops").values)
    kv = np.diff(start("bam_kv").reader.scalars("flops").values)
    assert spent[0] == spent[4] < kv[-1] < spent[-1]


def test_forks_in_any_stage_come_to_the_same(bam):
    for step in (2, 6, 10):
        child = bam.fork(step)
        assert child.wait(240) == "finished", child.message
        compared = bam.identical_to(child)
        assert compared, str(compared)


def test_frozen_experts_stand_still_and_the_number_of_choices_is_live(bam):
    frozen = bam.fork(8, freeze_experts=True)
    assert frozen.wait(240) == "finished", frozen.message
    single = bam.fork(9, top_k=1)
    assert single.wait(240) == "finished", single.message
    weights = {r: r.reader.meta["weights"] for r in (bam, frozen)}
    experts = [n for n in weights[bam] if n.startswith("model.") and ".experts." in n]
    assert all(weights[bam][n] != weights[frozen][n] for n in experts)
    together = single.reader.arrays("coactivation")
    partnered = together.values.reshape(len(together.steps), -1).any(1)
    assert partnered[together.steps == 8].all()
    assert not partnered[together.steps >= 9].any()  # one expert a byte has no partner


def test_the_seed_alone_has_no_borders(start):
    assert not {"merge_loss", "load", "border_ce"} & set(start("dense").reader.names())


def test_one_attention_for_all_is_found_when_it_lasts():
    def findings(rows):
        detector = AttentionCollapse()
        return [*(f for i, r in enumerate(rows) for f in detector.update(i, {"attention_top": r})),
                *detector.finish(len(rows) - 1)]  # fmt: skip

    assert findings([[0.3, 0.95]] * 60)
    assert not findings([[0.3, 0.95]] * 40 + [[0.3, 0.4]] * 20)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"domains": ["python"]}, "at least two"),
        ({"experts": 3}, "experts follows from the number of domains, 4; got 3"),
        ({"batch_size": 2}, "batch_size must be at least 4"),
        ({"seed_steps": 700}, "seed_steps \\+ branch_steps must be less than steps"),
        ({"top_k": 3}, "top_k must lie between 1 and 2"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(overrides, words):
    with pytest.raises(InvalidValue, match=words):
        compose(EXPERIMENT, overrides=overrides)
