"""Rewards equal what the authors' and trl's code computed, and refuse what has no answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.rewards import (
    cosine_reward,
    format_reward,
    length_reward,
    overlong_penalty,
    repetition_penalty,
)

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 0, "atol": 1e-12}


def test_the_rewards_of_the_two_stage_recipe_are_the_authors():
    a = dict(np.load(GOLDEN / "aimo_rewards.npz"))
    low_wrong, high_wrong, low_right, high_right = a["cfg"]
    lengths, correct, max_len = a["lengths"], a["correct"], float(a["max_len"])
    curves = {"right": (high_right, low_right), "wrong": (low_wrong, high_wrong)}
    for clip, key in ((True, "cosine_clipped"), (False, "cosine_unclipped")):
        np.testing.assert_allclose(cosine_reward(lengths, correct, max_len, clip=clip, **curves), a[key], **TIGHT)
    np.testing.assert_allclose(cosine_reward(lengths, correct, max_len), a["cosine_clipped"], **TIGHT)  # the defaults
    np.testing.assert_allclose(length_reward(lengths, correct, len(lengths)), a["length_reward"], **TIGHT)
    np.testing.assert_allclose(length_reward([5, 5, 5], [1, 0, 1], 3), a["length_reward_equal"], **TIGHT)
    said = [[t for t in row if t] for row in a["rep_tokens"].tolist()]
    np.testing.assert_allclose(repetition_penalty(said), a["rep_penalty"], **TIGHT)


def test_the_overlong_penalty_is_trls():
    a = dict(np.load(GOLDEN / "overlong.npz"))
    found = overlong_penalty(a["lengths"], float(a["max_len"]), float(a["cache"]))
    np.testing.assert_array_equal(found, a["reward"])


def test_the_cosine_ends_where_it_should():
    found = cosine_reward([0, 60, 90, 0, 60, 90], [1, 1, 1, 0, 0, 0], 60)
    np.testing.assert_allclose(found, [1, 0.1, 0.1, -1, -0.1, -0.1], **TIGHT)


def test_lengths_are_compared_inside_a_group_alone():
    lengths, correct = np.array([10, 20, 30, 7, 7, 7, 1, 100, 1]), np.array([1, 1, 0, 1, 0, 1, 0, 0, 1], bool)
    found = length_reward(lengths, correct, 3)
    np.testing.assert_allclose(found, [0.5, 0, -0.5, 0, 0, 0, 0, -0.5, 0.5], **TIGHT)
    swapped = length_reward(lengths.reshape(3, 3)[::-1].ravel(), correct.reshape(3, 3)[::-1].ravel(), 3)
    np.testing.assert_array_equal(swapped.reshape(3, 3)[::-1].ravel(), found)


def test_an_answer_must_be_boxed_before_the_thinking_ends():
    responses = [
        r"so \boxed{\frac{1}{2}}</think> it is a half", "so 3</think> \\boxed{3}", r"so \boxed{3}",
        r"\boxed{3</think>}", "</think>", "", "a\n\\boxed{\n7\n}\n</think></think>",
    ]  # fmt: skip
    assert format_reward(responses).tolist() == [1, 0, 0, 0, 0, 0, 1]
    assert format_reward(["1 1 A 1 <eos>", "1 1 A 1"], answer=r"A \d", before="<eos>").tolist() == [1, 0]


def test_a_short_response_repeats_nothing():
    found = repetition_penalty([[], [1], [1, 2, 3], [1, 1, 1, 1]])
    np.testing.assert_allclose(found, [0, 0, 0, -0.5], **TIGHT)
    np.testing.assert_allclose(repetition_penalty([[4, 4, 4, 4]], n=1), [-0.75], **TIGHT)


def test_what_has_no_answer_is_refused():
    with pytest.raises(InvalidValue, match="needs at least 2; got 1"):
        length_reward([3, 4], [1, 1], 1)
    with pytest.raises(InvalidValue, match="3 responses cannot be split into groups of 2"):
        length_reward([3, 4, 5], [1, 1, 0], 2)
    for max_len in (0, -1, np.inf, np.nan):
        with pytest.raises(InvalidValue, match="max_len must be above 0"):
            cosine_reward([1], [True], max_len)
        with pytest.raises(InvalidValue, match="max_len must be above 0"):
            overlong_penalty([1], max_len, 1)
    for cache in (0, 11):
        with pytest.raises(InvalidValue, match="cache must lie above 0"):
            overlong_penalty([1], 10, cache)
    with pytest.raises(InvalidValue, match="2 lengths, but answers of shape"):
        cosine_reward([1, 2], [True], 10)
    with pytest.raises(InvalidValue, match="finite and not negative"):
        cosine_reward([-1], [True], 10)
    with pytest.raises(InvalidValue, match="at least 1 token"):
        repetition_penalty([[1]], 0)
