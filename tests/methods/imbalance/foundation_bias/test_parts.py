"""The mix, the prior and its estimate, the tails, the heads and the detectors, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import workbench
from workbench.cards import InvalidValue, card
from workbench.methods.imbalance.foundation_bias import backdoor, prior
from workbench.methods.imbalance.foundation_bias.detect import DataImbalance, ParameterImbalance
from workbench.methods.imbalance.foundation_bias.encoder import Encoder, foundation
from workbench.methods.imbalance.foundation_bias.heads import Heads, cosine
from workbench.methods.imbalance.foundation_bias.knobs import LOSSES
from workbench.methods.imbalance.foundation_bias.module import gap, grid
from workbench.methods.imbalance.foundation_bias.objective import objective
from workbench.methods.imbalance.foundation_bias.tails import Pictures, crossed, looks

FOUND = card("imbalance/foundation_bias")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(**values):
    made = FOUND.config()
    for name, value in {**FOUND.preset("smoke").overrides, **values}.items():
        setattr(made, name, value)
    with workbench.session(made, experiment="tests/tails", mlflow=False, detectors=()) as session:
        return Pictures(made, session), made


# -- the mix ----------------------------------------------------------------------------------------------------------


def test_all_the_weight_on_one_model_is_that_model():
    logits = torch.randn(3, 4, 5, generator=generator())
    alone = backdoor.adjust(logits, torch.tensor([0.0, 1.0, 0.0]))
    assert torch.equal(alone, logits[1])


def test_mixed_probabilities_are_probabilities_and_not_those_of_mixed_logits():
    logits = 3 * torch.randn(3, 4, 5, generator=generator())
    weights = torch.tensor([0.2, 0.3, 0.5])
    found = backdoor.adjust(logits, weights, mix="probabilities")
    expected = sum(w * torch.softmax(z, 1) for w, z in zip(weights, logits, strict=True))
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, torch.softmax(backdoor.adjust(logits, weights), 1), atol=1e-2)


def test_looks_at_a_picture_are_averaged():
    logits = torch.randn(2, 6, 5, generator=generator())
    found = backdoor.adjust(logits, crops=3)
    torch.testing.assert_close(found, logits.sum(0).view(2, 3, 5).mean(1))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"crops": 0}, "crops must be 1 or more and divide the 6 rows of logits; got 0"),
        ({"crops": 4}, "divide the 6 rows of logits; got 4"),
        ({"weights": torch.ones(3)}, r"a weight for each of the 2 models; got \(3,\)"),
        ({"mix": "votes"}, "logits or probabilities; got 'votes'"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(given, words):
    with pytest.raises(InvalidValue, match=words):
        backdoor.adjust(torch.zeros(2, 6, 5), **given)


@pytest.mark.parametrize(("other", "words"), [(("a", "c", "b"), "c and b"), (("a", "b"), "2 classes and 3")])
def test_models_whose_classes_differ_are_not_mixed(other, words):
    backdoor.same_classes([("a", "b", "c"), ["a", "b", "c"]])
    with pytest.raises(InvalidValue, match=f"Models 1 and 0 do not list the same classes.*{words}"):
        backdoor.same_classes([("a", "b", "c"), other])


# -- the prior --------------------------------------------------------------------------------------------------------


def test_the_estimate_finds_the_prior_that_was_added_to_honest_logits():
    """y even, x = its class's mean + noise: log p(x|y) are honest logits, and ln q is added to them."""
    target = torch.arange(5).repeat(800)
    x = 2 * F.one_hot(target, 5) + torch.randn(len(target), 5, generator=generator())
    true = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])
    found = prior.estimate(2 * x + true.log(), target)
    torch.testing.assert_close(found, true, atol=0.03, rtol=0)
    assert found.sum().item() == pytest.approx(1)


def test_an_estimate_on_uneven_classes_is_refused():
    with pytest.raises(InvalidValue, match="there are between 1 and 2"):
        prior.estimate(torch.zeros(3, 2), torch.tensor([0, 0, 1]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([0.5, 0.5, 0.0], "class 2 has 0, which has no logarithm"),
        ([0.5, float("nan"), 0.5], "class 1 has nan"),
        ([0.5, 0.4], "must sum to 1 within 1e-6; they sum to 0.9"),
        ([], r"got the shape \(0,\)"),
    ],
)
def test_what_is_no_prior_is_refused(given, words):
    with pytest.raises(InvalidValue, match=words):
        prior.checked(torch.tensor(given, dtype=torch.float64))


# -- tails ------------------------------------------------------------------------------------------------------------


def test_each_encoder_has_its_own_tail_and_none_sees_what_heads_train_on():
    p, c = pictures()
    assert len(p.pretraining) == c.n_confounders + 1
    assert len({tuple(t.order) for t in p.pretraining[:3]}) == 3
    for k in range(3):
        seen, tail = p.seen_by(k), p.pretraining[k]
        assert np.bincount(seen.y, minlength=10).tolist() == tail.counts.tolist()
        assert tail.counts.max() / tail.counts.min() == pytest.approx(c.pretrain_if, rel=0.1)
        assert not {x.tobytes() for x in seen.x} & {x.tobytes() for x in p.train.x}
    assert np.bincount(p.train.y, minlength=10).tolist() == p.downstream.counts.tolist()
    assert set(np.bincount(p.validation.y)) == {100}
    assert set(np.bincount(p.test.y)) == {400}
    assert not {x.tobytes() for x in p.validation.x} & {x.tobytes() for x in p.test.x}
    assert set(p.pretraining[-1].counts) == {60}


def test_the_control_sees_model_0s_pictures_every_time():
    p, _ = pictures(tails="same")
    first = p.seen_by(0)
    assert np.array_equal(first.x, p.seen_by(2).x)
    assert np.array_equal(first.x, pictures()[0].seen_by(0).x)


def test_twenty_classes_are_two_data_sets_one_behind_the_other():
    p, _ = pictures(pictures="fashion_animals")
    assert len(p.classes) == 20
    assert (p.classes[10], p.test.y.max(), len(p.downstream.counts)) == ("Bear", 19, 20)


def test_the_two_orders_cross_so_that_the_grid_has_no_empty_cell():
    for seed in range(5):
        first, second = crossed(10, 0.0, np.random.default_rng(seed))
        assert (grid(np.ones(10), first, second) == 1).all()
    first, second = crossed(10, -1.0, np.random.default_rng(0))
    assert first.tolist() == second[::-1].tolist()
    assert grid(np.ones(10), first, second)[0, 0] == -1


def test_a_gap_is_head_minus_tail_by_the_order_asked_for():
    each = np.arange(10.0)
    ranked = np.array([9, 8, 7, 3, 4, 5, 6, 0, 1, 2])
    assert gap(each, ranked) == 8 - 1
    assert gap(each, ranked[::-1]) == 1 - 8


def test_looks_are_the_picture_and_its_shifts():
    x = np.random.default_rng(0).random((2, 1, 28, 28), dtype=np.float32)
    plain, lower, *_ = looks(x, 5)
    assert np.array_equal(plain, x)
    assert np.array_equal(lower[:, :, :-2], x[:, :, 2:])
    assert not lower[:, :, -2:].any()
    assert len(list(looks(x, 5))) == 5


# -- encoders and heads -----------------------------------------------------------------------------------------------


def test_a_masked_pixel_is_never_seen():
    mask = torch.ones(1, 28, 28)
    mask[:, :, 14:] = 0
    encoder = Encoder(10, mask, generator())
    x = torch.rand(3, 1, 28, 28, generator=generator(1))
    other = x.clone()
    other[..., 14:] = 0.5
    assert torch.equal(encoder(x), encoder(other))
    other[..., 0] = 0.5
    assert not torch.equal(encoder(x), encoder(other))


@pytest.mark.parametrize("half", [False, True])
def test_an_encoder_is_pretrained_once_and_is_frozen(half):
    p, c = pictures(half_pixels=half)
    said: list[str] = []
    first, again = (foundation(c, p, 0, said.append) for _ in range(2))
    assert said == ["pretraining encoder 0 on 592 pictures"]
    for a, b in zip(first.encoder.state_dict().values(), again.encoder.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not any(q.requires_grad for q in first.encoder.parameters())
    assert first.encoder.mask.mean().item() == (0.5 if half else 1.0)
    assert first.classes == p.classes


def test_heads_start_as_class_means_and_see_their_own_features_alone():
    means = torch.randn(3, 4, 6, generator=generator())
    heads, x = Heads(means, 2, generator()), torch.randn(3, 5, 6, generator=generator(1))
    torch.testing.assert_close(heads(x), cosine(x, means))
    heads(x)[1].sum().backward()
    for weights in (heads.up, heads.head):
        assert [bool(g.any()) for g in weights.grad] == [False, True, False]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_gradient_for_every_class(loss):
    c = FOUND.config()
    c.loss = loss
    logits = (5 * torch.randn(12, 4, generator=generator())).requires_grad_()
    counts, shares = torch.tensor([40.0, 20.0, 8.0, 2.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])
    objective(c, logits, torch.arange(12) % 4, counts, shares).backward()
    assert (logits.grad.abs().sum(0) > 0).all()


def test_what_the_adjustments_add_is_what_the_loss_sees():
    c, target = FOUND.config(), torch.arange(8) % 4
    logits = torch.randn(8, 4, generator=generator())
    counts, shares = torch.tensor([40.0, 20.0, 8.0, 2.0]), torch.tensor([0.1, 0.2, 0.3, 0.4])
    c.loss, c.tau = "la_prior", 0.5
    expected = F.cross_entropy(logits + 0.5 * (counts / 70).log() + shares.log(), target)
    torch.testing.assert_close(objective(c, logits, target, counts, shares), expected)
    c.loss, c.tau = "la", 0.0
    torch.testing.assert_close(objective(c, logits, target, counts, shares), F.cross_entropy(logits, target))


# -- detectors --------------------------------------------------------------------------------------------------------


def findings(detector, *looks):
    return [f for step, (p, d) in enumerate(looks) for f in detector.update(step, {"bias_P": p, "bias_D": d})]


def test_parameter_imbalance_is_told_where_the_other_is_handled_three_looks_in_a_row():
    assert not findings(ParameterImbalance(), (9, 0), (9, 0), (2, 0), (9, 0), (9, 0))
    found = findings(ParameterImbalance(), (9, 30), (9, 1), (9, 1), (9, 1))
    assert [(f.first, f.last) for f in found] == [(1, None)]
    assert not findings(ParameterImbalance(), *[(9, 30)] * 4)
    closed = findings(ParameterImbalance(), (9, 1), (9, 1), (9, 1), (1, 1), (1, 1))[-1]
    assert (closed.first, closed.last) == (0, 2)
    assert len(findings(ParameterImbalance(), *[(9, 1)] * 3, (4, 1), (4, 1))) == 1


def test_data_imbalance_is_told_whatever_the_other_is():
    assert [f.first for f in findings(DataImbalance(), (0, 1), (0, 19), (50, 19), (0, 19))] == [1]
    assert not findings(DataImbalance(), *[(50, -9)] * 4)
