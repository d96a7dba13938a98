"""Initial weights, measures and settings: what they keep, what they find, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.cards import card
from workbench.cards.errors import InvalidValue
from workbench.methods.continual.rich_lazy import claims, decision, measures
from workbench.methods.continual.rich_lazy.initial import aligned, cut, gaussian
from workbench.methods.continual.rich_lazy.linear import draw
from workbench.methods.continual.rich_lazy.module import plane


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("rank", [1, 3, 12])
def test_only_the_rank_changes_and_not_the_norm(rank):
    W = gaussian(12, 12, 1.25, seeded()).double()
    low = cut(W, rank)
    torch.testing.assert_close(torch.linalg.norm(low), torch.linalg.norm(W))
    assert int(torch.linalg.matrix_rank(low)) == rank


@pytest.mark.parametrize("rank", [0, 13])
def test_a_rank_that_cannot_be_is_refused(rank):
    with pytest.raises(InvalidValue, match=f"between 1 and 12; got {rank}"):
        cut(torch.ones(12, 12), rank)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0])
def test_the_aligned_rank_has_the_angle_asked_for(angle):
    W, teacher = gaussian(8, 8, 1.0, seeded()).double(), torch.randn(8, generator=seeded(1)).double()
    low = aligned(W, teacher, angle, seeded(2))
    direction = torch.linalg.svd(low)[2][0]
    cosine = float((direction @ teacher).abs() / teacher.norm())
    assert cosine == pytest.approx(np.cos(np.radians(angle)), abs=1e-7)
    torch.testing.assert_close(torch.linalg.norm(low), torch.linalg.norm(W))


def test_a_dead_network_has_no_alignment():
    K = torch.eye(3)
    assert measures.alignment(K, torch.zeros(3, 3)) is None
    assert measures.alignment(2 * K, K) == pytest.approx(1.0)


def test_zero_is_a_sign_of_its_own():
    assert measures.sign_similarity(torch.tensor([0.0, 1, -1, 2]), torch.tensor([1.0, 1, -2, 0])) == 0.5


def test_the_three_effective_ranks_agree_on_equal_singular_values_alone():
    assert measures.effective_ranks(torch.ones(5)) == pytest.approx([5, 5, 5])
    stable, entropy, participation = measures.effective_ranks(torch.tensor([3.0, 1, 1, 0]))
    assert stable < participation < entropy < 3
    assert measures.effective_ranks(torch.zeros(4)) == [0, 0, 0]


def test_a_kernel_that_needs_too_much_memory_is_refused_with_the_number():
    measures.check_kernel(96, 100**2, 1.0)
    with pytest.raises(InvalidValue, match=r"needs 3\.75 GiB, above kernel_budget = 1 GiB"):
        measures.check_kernel(1000, 1_006_000 - 1000, 1.0)


def test_the_students_kernel_is_that_of_both_its_layers():
    student, _ = draw(5, 5, seeded())
    with torch.no_grad():
        student.outside.copy_(torch.randn(5, generator=seeded(3)))
    by_first = measures.tangent_kernel(lambda weight: student.outside @ weight, student.weight)
    by_second = measures.tangent_kernel(lambda w: w @ student.weight, student.outside)
    torch.testing.assert_close(student.kernel(), by_first + by_second)


def test_a_student_of_rank_r_has_the_spectrum_of_the_cut_matrix():
    full, low = draw(6, 6, seeded())[0].weight, draw(6, 2, seeded())[0].weight
    assert low.shape == (2, 6)
    s_full, s_low = torch.linalg.svdvals(full), torch.linalg.svdvals(low)
    torch.testing.assert_close(s_low / s_low[0], s_full[:2] / s_full[0])
    torch.testing.assert_close(torch.linalg.norm(low), torch.linalg.norm(full))


def test_the_second_rule_swaps_the_answers_of_the_same_trials():
    first, second = (decision.trials(200, np.random.default_rng(0), rule=r, sure=True) for r in (0, 1))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1][:-1], second[1][:-1])
    assert (first[1][-1] + second[1][-1] == 3).all()
    more = first[0][:-1, :, 1].mean(0) > first[0][:-1, :, 2].mean(0)
    assert ((first[1][-1] == 1) == more).double().mean() > 0.9  # the first channel is more: class 1
    assert not first[0][-1, :, 1:].any()  # the answer has to be kept


def test_both_clouds_of_hidden_states_lie_on_the_same_plane():
    now, start = torch.randn(6, 9, generator=seeded()), torch.randn(6, 9, generator=seeded(1))
    points = torch.cat(plane(now, start))
    torch.testing.assert_close(points.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    assert float((points[:, 0] * points[:, 1]).sum()) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("claim", [c for c in card("continual/rich_lazy").claims if c.quick], ids=lambda c: c.id)
def test_the_linear_students_differences_are_as_claimed_on_their_mean(claim):
    values = [getattr(claims, claim.metric.partition(":")[2])(seed) for seed in claim.seeds]
    assert np.mean(values) >= claim.margin


def test_every_linear_student_reaches_the_loss_so_that_they_compare():
    for seed in range(3):
        for student in ((20, None), (3, None), (1, None), (1, 0.0)):
            assert claims.linear_alignment(seed, *student)[2] < claims.LOSS
