"""The mathematics and the data: mixing, distances, grades, augmentation, measures, methods; what they refuse."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.methods.imbalance.semixup import losses, measures, unlabelled
from workbench.methods.imbalance.semixup.augment import augmented
from workbench.methods.imbalance.semixup.detect import ConsistencyCollapse, LabelStarved
from workbench.methods.imbalance.semixup.knobs import Semixup
from workbench.methods.imbalance.semixup.module import ramp
from workbench.methods.imbalance.semixup.network import Siamese
from workbench.methods.imbalance.semixup.seen import Seen
from workbench.methods.imbalance.semixup.severity import degrade, shared


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed))


# -- losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("draw", "floor", "expected"), [(0.2, 0.55, 0.8), (0.9, 0.55, 0.9), (0.52, 0.55, 0.55)])
def test_a_weight_is_folded_and_not_below_its_floor(draw, floor, expected):
    assert losses.folded(draw, floor) == pytest.approx(expected)


def test_stopped_gradients_change_no_number_and_hold_the_undisturbed_side():
    free, stopped = ([logits(6, 5, seed=k).requires_grad_() for k in range(4)] for _ in range(2))
    a, b = losses.semixup(*free), losses.semixup(*stopped, stop_gradient=True)
    assert a.total.item() == pytest.approx(b.total.item())
    for found in (a, b):
        found.total.backward()
    assert all(z.grad is not None for z in free)
    assert [z.grad is not None for z in stopped] == [True, False, True, False]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: losses.partners(torch.zeros(1, 5)), "a batch of at least 2, or a picture is mixed with itself; got 1"),
        (lambda: losses.mixed(torch.zeros(2, 5), torch.zeros(2, 5), 0.4), "lies between 0.5 and 1; got 0.4"),
        (lambda: losses.mixed(torch.zeros(2, 5), torch.zeros(2, 5), 1.1), "lies between 0.5 and 1; got 1.1"),
        (lambda: losses.folded(0.5, 0.3), "lies between 0.5 and 1; got 0.3"),
        (lambda: losses.mixed(torch.zeros(2, 5), torch.zeros(3, 5), 0.7), r"one shape; got \(2, 5\) and \(3, 5\)"),
        (lambda: losses.distance(torch.zeros(2, 5), torch.zeros(2, 4)), r"got \(2, 5\) and \(2, 4\)"),
        (lambda: losses.distance(torch.zeros(2, 5), torch.zeros(2, 5), "l1"), "one of mse, kl; got 'l1'"),
        (
            lambda: losses.labelled_mixup(torch.zeros(3, 5), torch.zeros(2).long(), torch.zeros(2).long(), 0.7),
            "two targets for each of the 3 rows",
        ),
    ],
)
def test_what_cannot_be_mixed_or_compared_is_refused(call, words):
    with pytest.raises(InvalidValue, match=words):
        call()


# -- methods ----------------------------------------------------------------------------------------------------------


def seen(**changes) -> Seen:
    x, weight = torch.rand(6, 1, 28, 28, generator=generator()), changes.pop("weight", 0.7)
    network = Siamese(5, generator(2))
    return Seen(x, augmented(x, generator(1)), network, weight, Semixup(**changes))


def terms(name: str, **changes) -> losses.Terms:
    return unlabelled.method(name).terms(seen(**changes))


def test_each_method_has_the_terms_of_its_paper():
    found = {
        name: [
            t for t in ("cons", "mixup", "cons_mixup", "cons_aug_mixup") if getattr(terms(name), t).requires_grad
        ]
        for name in unlabelled.names()
    }  # fmt: skip
    assert found == {
        "semixup": ["cons", "mixup", "cons_mixup", "cons_aug_mixup"],
        "ict": ["mixup"], "mixmatch": ["mixup"], "none": [], "pi": ["cons"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "coefficient", "term"),
    [("semixup", "coef_cons", "cons"), ("semixup", "coef_mixup", "mixup"), ("semixup", "coef_cons_mixup", "cons_mixup"),
     ("pi", "coef_cons", "cons"), ("ict", "coef_mixup", "mixup"), ("mixmatch", "coef_mixup", "mixup")],
)  # fmt: skip
def test_a_coefficient_weighs_its_term(name, coefficient, term):
    once, thrice = (getattr(terms(name, **{coefficient: c}), term).item() for c in (1.0, 3.0))
    assert thrice == pytest.approx(3 * once) != 0


def test_ict_asks_for_mixed_probabilities_and_semixup_for_mixed_logits():
    given = seen(coef_mixup=1.0)
    z, out = given.network(given.x), given.network(given.out)
    z2 = z.flip(0)
    probabilities = 0.7 * z.softmax(1) + 0.3 * z2.softmax(1)
    expected = (out.softmax(1) - probabilities).square().mean()
    torch.testing.assert_close(unlabelled.method("ict").terms(given).mixup, expected)
    expected = (out.softmax(1) - (0.7 * z + 0.3 * z2).softmax(1)).square().mean()
    torch.testing.assert_close(unlabelled.method("semixup").terms(given).mixup, expected)


def test_a_mixed_picture_of_weight_one_is_its_dominant_parent():
    found = terms("semixup", weight=1.0)
    assert found.mixup.item() == found.cons_mixup.item() == 0
    assert found.cons.item() > 0


def test_an_unknown_method_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="semixup"):
        unlabelled.method("semixp")


def test_the_ramp_grows_from_nearly_nothing_to_one():
    assert ramp(0, 10) == pytest.approx(math.exp(-5))
    assert ramp(5, 10) == pytest.approx(math.exp(-1.25))
    assert ramp(10, 10) == ramp(99, 10) == ramp(0, 0) == 1


# -- data and network -------------------------------------------------------------------------------------------------


def test_a_stronger_grade_is_blurrier_and_no_light_is_lost():
    point = np.zeros((5, 28, 28), np.float32)
    point[:, 14, 14] = 1
    blurred = degrade(point, np.arange(5.0), np.zeros(point.shape))
    peaks = blurred.max((1, 2))
    assert (np.diff(peaks) < 0).all()
    np.testing.assert_allclose(blurred.sum((1, 2)), 1, rtol=1e-5)
    across = (np.arange(28) - 14) ** 2
    np.testing.assert_allclose((blurred[1:4].sum(1) @ across) ** 0.5, 0.4 + 0.45 * np.arange(1, 4), atol=0.01)


def test_grades_have_the_shares_of_kl_0_to_4_and_none_is_empty():
    assert np.bincount(shared(1000)).tolist() == [390, 180, 260, 130, 40]
    assert np.bincount(shared(50)).min() >= 1
    assert len(shared(53)) == 53


def test_an_augmented_picture_is_another_in_the_same_range():
    x = torch.rand(40, 1, 28, 28, generator=generator())
    found = augmented(x, generator(1))
    assert found.shape == x.shape
    assert 0 <= found.min() < found.max() <= 1
    assert (found != x).flatten(1).any(1).sum() > 35  # now and then all draws leave it alone
    assert torch.equal(found, augmented(x, generator(1)))
    assert not torch.equal(found, augmented(x, generator(2)))


def test_an_augmented_picture_is_as_blurred_as_it_was():
    """A square with sharp edges keeps them: without noise there are two grey levels, and contrast moves the upper."""
    x = torch.zeros(64, 1, 28, 28)
    x[..., 10:18, 10:18] = 0.5
    found = augmented(x, generator())
    still = found[[bool((p == p.amax()).sum() == 64) for p in found]]  # those without noise
    assert 20 < len(still) < 44
    assert {len(p.unique()) for p in still} == {2}
    assert len(still.amax((1, 2, 3)).unique()) > 5


def test_both_halves_are_seen_alike():
    network, x = Siamese(5, generator()), torch.rand(3, 1, 28, 28, generator=generator(1))
    symmetric = torch.cat([x[..., :14], x[..., :14].flip(3)], 3)
    torch.testing.assert_close(network(symmetric), network(symmetric.flip(3)))
    assert not torch.allclose(network(x), network(symmetric))


def test_dropout_keeps_the_mean_of_features():
    mask = Siamese(5, generator()).dropped(4000, 0.35, generator(1))
    assert mask.mean().item() == pytest.approx(1, abs=0.01)
    assert (mask == 0).float().mean().item() == pytest.approx(0.35, abs=0.01)


# -- measures ---------------------------------------------------------------------------------------------------------


def test_kappa_is_one_for_the_truth_and_nought_for_chance_and_for_one_answer():
    assert measures.quadratic_kappa(np.diag([3, 2, 5])) == 1
    assert measures.quadratic_kappa(np.outer([3, 2, 5], [1, 2, 1])) == pytest.approx(0)
    assert measures.quadratic_kappa(np.array([[0, 4, 0], [0, 0, 0], [0, 0, 0]])) <= 0
    near, far = (np.array([[5, a, b], [0, 5, 0], [0, 0, 5]]) for a, b in ((2, 0), (0, 2)))
    assert measures.quadratic_kappa(near) > measures.quadratic_kappa(far)


def test_kappa_is_that_of_scikit_learn():
    true, said = np.random.default_rng(0).integers(0, 5, (2, 200))
    table = np.zeros((5, 5), np.int64)
    np.add.at(table, (true, said), 1)
    assert measures.quadratic_kappa(table) == pytest.approx(cohen_kappa_score(true, said, weights="quadratic"))
    assert measures.mean_error(table) == pytest.approx(np.abs(true - said).mean())


def test_information_is_nought_where_answers_are_the_same_and_one_where_they_tell_all():
    assert measures.told_apart(np.full((7, 5), 0.2)) == pytest.approx((1, 0))
    assert measures.told_apart(np.eye(5)) == pytest.approx((1, 1))
    assert measures.told_apart(np.eye(5)[[2, 2]]) == pytest.approx((0, 0))


def test_the_first_axis_grows_with_the_grade():
    p = F.softmax(4 * logits(50, 5), 1).double().numpy()
    axes, mean = measures.plane(p)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(mean, p.mean(0))
    assert axes[0] @ np.arange(-2, 3) > 0
    assert axes[1] @ np.abs(np.arange(-2, 3)) > 0


# -- detectors --------------------------------------------------------------------------------------------------------


def told(detector, looks):
    """Findings of a detector on looks, its state carried over to a second one half-way."""
    found = []
    for k, values in enumerate(looks):
        if k == len(looks) // 2:
            saved, detector = json.loads(json.dumps(detector.state_dict())), type(detector)()
            detector.load_state_dict(saved)
        found += list(detector.update(50 * k, values))
    return found


SAME = {"information": 0.02, "mean_entropy": 0.99, "consistency_in": 1e-4, "coef_now": 1.0}


@pytest.mark.parametrize(
    ("changes", "fires"),
    [
        ({}, True),
        ({"coef_now": 0.1}, False),
        ({"coef_now": 0.0}, False),  # supervised
        ({"information": 0.5}, False),
        ({"information": 0.5, "mean_entropy": 0.4}, True),  # one grade for nearly all
        ({"consistency_in": 0.2}, False),
    ],
)
def test_agreement_by_saying_nothing_is_told_after_three_looks(changes, fires):
    looks = [SAME | changes] * 4
    assert bool(told(ConsistencyCollapse(), looks)) == fires
    assert not told(ConsistencyCollapse(), looks[:2])


@pytest.mark.parametrize(("train", "test", "fires"), [(99, 60, True), (80, 60, False), (40, 60, False)])
def test_too_few_labels_are_told_by_the_gap_to_new_pictures(train, test, fires):
    looks = [{"train_balanced_accuracy": train, "balanced_accuracy": test}] * 4
    assert bool(told(LabelStarved(), looks)) == fires
