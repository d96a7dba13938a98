"""Losses at their borders, recalling, audits, samplers, data, ranking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchmetrics.functional.classification import multilabel_average_precision

from workbench.cards.errors import InvalidValue
from workbench.methods.imbalance.comic import films, losses, mosaics
from workbench.methods.imbalance.comic.corrector import Corrector, levels, recall
from workbench.methods.imbalance.comic.gate import Gate, upper_bound
from workbench.methods.imbalance.comic.knobs import GARMENTS, GENRES, LOSSES, Comic
from workbench.methods.imbalance.comic.measures import average_precision, reliability
from workbench.methods.imbalance.comic.modifier import Modifier
from workbench.methods.imbalance.comic.networks import Normed
from workbench.methods.imbalance.comic.sample import audit, record
from workbench.methods.imbalance.comic.tally import Tally

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.normal(0, 2, (40, 5)))
Y = torch.from_numpy((RNG.random((40, 5)) < [0.6, 0.4, 0.3, 0.2, 0.1]).astype(float))


# -- losses -----------------------------------------------------------------------------------------------------------


def test_without_weights_shift_and_focus_the_loss_is_cross_entropy():
    plain = F.binary_cross_entropy_with_logits(X, Y, reduction="none")
    torch.testing.assert_close(losses.focal(X, Y), plain)


def test_a_negative_below_the_shift_costs_nothing():
    p = torch.tensor([[0.01, 0.04, 0.06, 0.5]], dtype=torch.float64)
    cost = losses.focal(torch.logit(p), torch.zeros_like(p), clip=0.05)[0]
    assert (cost[:2] == 0).all()
    assert (cost[2:] > 0).all()


def test_the_focus_has_no_gradient():
    x = X.clone().requires_grad_()
    losses.focal(x, torch.zeros_like(x), gamma_neg=2.0).sum().backward()
    p = torch.sigmoid(X)
    torch.testing.assert_close(x.grad, p**2 * p)  # the factor times the gradient of -ln(1 - p)


def test_a_higher_focus_lowers_what_easy_negatives_cost_and_leaves_positives_alone():
    p, label = torch.linspace(0.1, 0.9, 9), Y.float()
    modifier = Modifier(label)
    low, high = Comic(gamma_neg=1.0), Comic(gamma_neg=5.0)
    assert (modifier.curve(p, 0.0, high) < modifier.curve(p, 0.0, low)).all()
    torch.testing.assert_close(modifier.curve(p, 1.0, high), modifier.curve(p, 1.0, low))


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"gamma_pos": 2.0}, ("multi_focal", "prior_focal", "asymmetric")),
        ({"clip": 0.2}, ("multi_focal", "prior_focal", "asymmetric")),
        ({"gamma_neg": 1.0}, ("multi_focal", "prior_focal", "asymmetric")),
        ({"weight_power": 0.5}, ("multi_focal", "prior_focal")),
    ],
)
def test_each_slider_moves_the_losses_that_have_it_and_no_other(changes, moves):
    x, y = X.float(), Y.float()
    modifier = Modifier(y)
    for name in LOSSES:
        before, after = (modifier.loss(x, y, Comic(loss=name, **c)) for c in ({}, changes))
        assert bool(before != after) == (name in moves), name


def test_a_sample_without_labels_has_no_prior_and_the_loss_stays_finite():
    y = Y.clone()
    y[3] = 0
    attention = losses.prior(y, losses.co_occurrence(y))
    assert (attention[3] == 0).all()
    torch.testing.assert_close(attention[y.any(1)].sum(1), torch.ones(int(y.any(1).sum()), dtype=y.dtype))
    assert torch.isfinite(losses.focal(X, y, attention=attention)).all()


def test_a_batch_without_labels_has_no_prior_and_the_training_loss_is_the_one_without():
    with pytest.raises(InvalidValue, match="No sample of the batch has a positive label"):
        losses.prior(torch.zeros(4, 5), losses.co_occurrence(Y.float()))
    modifier, nothing = Modifier(Y.float()), torch.zeros(4, 5)
    prior, multi = (modifier.loss(X[:4].float(), nothing, Comic(loss=n)) for n in ("prior_focal", "multi_focal"))
    assert prior == multi


def test_labels_other_than_0_and_1_and_classes_without_a_positive_are_refused():
    odd = Y.clone()
    odd[0, 0] = -1
    with pytest.raises(InvalidValue, match=r"A label is 0 or 1; got -1"):
        Modifier(odd)
    empty = Y.clone()
    empty[:, 2] = 0
    with pytest.raises(InvalidValue, match="No example is labelled Action"):
        Modifier(empty, GENRES)
    with pytest.raises(InvalidValue, match="class 1"):
        losses.class_weights(torch.tensor([3, 0]), 1 / 6)


# -- recalling --------------------------------------------------------------------------------------------------------


def test_only_sure_negatives_above_the_class_mean_are_recalled():
    x = torch.logit(torch.tensor([[0.9, 0.8], [0.6, 0.75], [0.1, 0.9]]))
    y = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert recall(x, y, level=0.7, margin=0.0).recalled.tolist() == [[True, False], [False, False], [False, False]]
    far = recall(x, y, level=0.7, margin=3.0)  # a lower mean of the second class: the first two are above it
    assert far.recalled.tolist() == [[True, True], [False, True], [False, False]]
    assert far.labels.sum() == 4
    assert recall(x, y, level=torch.tensor([0.95, 0.7]), margin=3.0).recalled[0].tolist() == [False, True]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_levels_give_a_class_back_at_most_its_share_wherever_its_probabilities_lie(share):
    for drift in (0.0, 6.0):
        p = torch.sigmoid(X.float() + drift)
        above = (p > levels(p, Y.float(), share)) & (Y == 0)
        allowed = torch.minimum((share * Y.sum(0)).floor(), (Y == 0).sum(0).double())
        assert (above.sum(0) == allowed).all()


def test_recalled_labels_count_until_the_epoch_ends():
    counts = Y.sum(0)
    corrector = Corrector(counts)
    found = recall(X, Y, level=0.5)
    assert found.recalled.any()
    corrector.loss(X, Y, found)
    assert (corrector.counts == counts + found.recalled.sum(0)).all()
    corrector.new_epoch()
    assert (corrector.counts == counts).all()


def test_a_batch_without_positives_has_no_corrector_loss():
    nothing = torch.zeros(3, 5, dtype=torch.float64)
    assert Corrector(Y.sum(0)).loss(X[:3], nothing, recall(X[:3], nothing, level=1.0)) == 0


def test_the_gate_closes_on_evidence_alone():
    gate = Gate(5)
    p = torch.sigmoid(X.float())
    assert (p > gate.level).sum() == 0  # nothing before the first epoch has ended
    for right, seen, opened in ((0, 0, True), (1, 4, True), (0, 4, False), (3, 20, False), (12, 20, True)):
        gate.renew(p, Y.float(), 0.2, right=right, seen=seen)
        assert gate.approves(0.5) == opened, (right, seen)
        assert gate.approves(0.0)


def test_the_bound_holds_in_nine_cases_of_ten_and_comes_down_with_more_audits():
    drawn = np.random.default_rng(0).binomial(40, 0.3, 4000)
    assert abs(np.mean([upper_bound(int(k), 40) >= 0.3 for k in drawn]) - 0.9) < 0.05
    assert upper_bound(0, 0) == 1.0
    assert upper_bound(1, 2) > upper_bound(10, 20) > upper_bound(100, 200) > 0.5


def test_the_tally_counts_what_is_true_and_what_audits_see():
    tally = Tally(2)
    found, truth = torch.tensor([[1, 1], [0, 1]]).bool(), torch.tensor([[1, 0], [0, 1]]).bool()
    audited = torch.tensor([True, False])
    tally.recall(found, truth, audited, used=False)
    assert tally.counts == {"recalled": 0, "right": 0, "audited": 2, "audited_right": 1}
    tally.recall(found, truth, audited, used=True)
    assert tally.counts == {"recalled": 3, "right": 2, "audited": 4, "audited_right": 2}
    tally.gradient(torch.tensor([[-3.0, 1.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert tally.positive_share.tolist() == [75.0, 0.0]


# -- data and measures ------------------------------------------------------------------------------------------------


def test_the_share_asked_for_goes_missing_and_every_class_keeps_one():
    labels = np.zeros((4000, 3), bool)
    labels[:2000, 0] = labels[:3, 1] = True
    kept = record(labels, 0.4, np.random.default_rng(1))
    assert not (kept & ~labels).any()
    assert abs(kept[:, 0].sum() / 2000 - 0.6) < 0.03
    assert record(labels, 0.9999, np.random.default_rng(1)).sum(0).tolist() == [1, 1, 0]
    assert (record(labels, 0.0, np.random.default_rng(1)) == labels).all()


def test_an_audit_sees_its_share_and_at_least_one():
    assert audit(900, 0.02, np.random.default_rng(0)).sum() == 18
    assert audit(10, 0.005, np.random.default_rng(0)).sum() == 1


def test_films_have_genres_from_frequent_to_rare_and_features_like_columns_of_one_scale():
    found = films.build(Comic(), np.random.default_rng(0))
    assert found.train_x.shape == (900, 65)
    assert found.test_x.shape == (449, 65)
    totals = found.train_y.sum(0) + found.test_y.sum(0)
    assert totals[0] == 543
    assert totals[-1] == 19
    assert (np.diff(totals) <= 0).all()
    np.testing.assert_allclose(found.train_x.std(0), 1, rtol=1e-4)
    with pytest.raises(InvalidValue, match="train_examples must be at most 1249"):
        films.build(Comic(train_examples=1300), np.random.default_rng(0))


def test_a_mosaic_is_labelled_with_what_its_quarters_show():
    pictures = np.stack([np.full((28, 28), 10 * (k + 1), np.uint8) for k in range(10)])
    shares = np.full(10, 0.1)
    x, y = mosaics.compose(pictures, np.arange(10), shares, 50, np.random.default_rng(0))
    assert x.shape == (50, 1, 28, 28)
    for picture, labels in zip(x[:, 0], y, strict=True):
        shown = {round(255 * float(v) / 10) - 1 for v in picture[::14, ::14].ravel()}
        assert shown == set(np.flatnonzero(labels))
    assert len(GARMENTS) == y.shape[1]


@pytest.mark.parametrize("ties", [False, True])
def test_average_precision_is_that_of_torchmetrics(ties):
    scores = np.round(torch.sigmoid(X).numpy(), 1 if ties else 9)
    theirs = multilabel_average_precision(torch.from_numpy(scores), Y.long(), num_labels=5, average=None)
    np.testing.assert_allclose(average_precision(scores, Y.numpy() > 0), theirs, rtol=1e-6)
    assert np.isnan(average_precision(scores, np.zeros((40, 5), bool))).all()


def test_reliability_of_probabilities_that_are_frequencies_is_the_diagonal():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 5))
    mean, share = reliability(p, rng.random((4000, 5)) < p)
    assert np.abs(mean - share).max() < 0.03


def test_the_moving_mean_adds_up_in_training_alone():
    net = Normed(torch.nn.Identity(), 5, 3)
    x = X.float()
    for _ in range(2):
        net(x)
    torch.testing.assert_close(net.mean, 1.9 * x.mean(0))
    net.eval()(x)
    torch.testing.assert_close(net.mean, 1.9 * x.mean(0))
