"""Imposed tails: profiles fall to their factor, samples follow them, orders correlate as asked; nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cards.errors import InvalidValue
from workbench.methods.imbalance._shared import longtail

CLASSES, FACTORS = st.integers(2, 60), st.floats(1, 200)
SHAPES = st.sampled_from(longtail.PROFILES)


def test_the_exponential_profile_is_the_formula():
    assert longtail.profile(5, 1000, 100).tolist() == [1000, 316, 100, 31, 10]


def test_the_pareto_profile_is_the_formula():
    assert longtail.profile(4, 1000, 16, "pareto").tolist() == [1000, 250, 111, 62]


def test_a_step_has_two_sizes_and_the_larger_half_is_frequent():
    assert longtail.profile(5, 100, 10, "step").tolist() == [100, 100, 100, 10, 10]


@given(CLASSES, st.integers(200, 10_000), FACTORS, SHAPES)
def test_a_profile_falls_from_the_largest_to_a_factor_below_and_leaves_no_class_empty(classes, largest, factor, shape):
    counts = longtail.profile(classes, largest, factor, shape)
    assert counts.shape == (classes,)
    assert counts.dtype == np.int64
    assert (np.diff(counts) <= 0).all()
    assert counts[0] == largest
    assert counts[-1] == pytest.approx(largest / factor, abs=1)
    assert counts[-1] >= 1


@given(CLASSES, st.floats(1, 20), SHAPES)
def test_a_sized_profile_comes_near_its_total_from_below(classes, factor, shape):
    total = 100 * classes
    counts = longtail.sized(classes, total, factor, shape)
    assert total - 2 * classes - 1 <= counts.sum() <= total
    assert counts[-1] >= 1


@given(st.integers(2, 12), st.integers(0, 10**6))
def test_a_subset_has_what_the_profile_says_of_each_class_and_no_picture_twice(classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), 20))
    order, counts = rng.permutation(classes), longtail.profile(classes, 20, 10)
    rows = longtail.subset(labels, counts, order, rng)
    assert (np.diff(rows) > 0).all()
    own = np.bincount(labels[rows], minlength=classes)
    assert own.tolist() == longtail.by_class(counts, order).tolist()
    assert own[order].tolist() == counts.tolist()


@given(st.integers(2, 60), st.floats(-1, 1), st.integers(0, 10**6))
def test_orders_are_permutations_and_the_first_does_not_depend_on_the_correlation(classes, correlation, seed):
    first, second = longtail.orders(classes, correlation, np.random.default_rng(seed))
    assert sorted(first) == sorted(second) == list(range(classes))
    assert first.tolist() == longtail.orders(classes, 0, np.random.default_rng(seed))[0].tolist()


@given(st.integers(2, 60), st.integers(0, 10**6))
def test_a_correlation_of_1_gives_the_same_order_and_minus_1_the_reverse(classes, seed):
    same, reverse = (longtail.orders(classes, c, np.random.default_rng(seed)) for c in (1, -1))
    assert same[0].tolist() == same[1].tolist()
    assert reverse[0].tolist() == reverse[1][::-1].tolist()


@pytest.mark.parametrize("asked", [-0.7, 0.0, 0.7])
def test_ranks_of_many_classes_correlate_about_as_asked(asked):
    first, second = longtail.orders(2000, asked, np.random.default_rng(0))
    ranks = np.argsort(first), np.argsort(second)
    assert np.corrcoef(*ranks)[0, 1] == pytest.approx(asked, abs=0.06)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: longtail.profile(1, 10, 2), "at least 2 classes and a factor of 1 or more; got 1 and 2"),
        (lambda: longtail.profile(3, 10, 0.5), "a factor of 1 or more; got 3 and 0.5"),
        (lambda: longtail.profile(3, 10, 50), "the rarest class would keep 0.2 of 10 examples"),
        (lambda: longtail.sized(10, 60, 50), "the rarest class would keep"),
        (lambda: longtail.profile(3, 10, 2, "flat"), "one of exponential, pareto, step; got 'flat'"),
        (lambda: longtail.orders(3, 1.5, np.random.default_rng(0)), "between -1 and 1; got 1.5"),
        (
            lambda: longtail.subset(np.array([0, 0, 1]), np.array([2, 2]), np.array([0, 1]), np.random.default_rng(0)),
            "Class 1 has 1 examples, and the profile asks for 2",
        ),
    ],
)
def test_nonsense_is_refused_with_what_to_do(call, words):
    with pytest.raises(InvalidValue, match=words):
        call()
