"""The assignment problem and its bias, against recorded updates and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.cards import InvalidValue
from workbench.methods.experts.alf_lb import dual

GOLDEN = Path(__file__).parents[3] / "golden"
PLACES = {"sign": "", "inv_n": "_inv_n", "inv_sqrt_n": "_inv_sqrt_n"}


@pytest.mark.parametrize("rule", PLACES)
@pytest.mark.parametrize("name", ["alf_fixed", "alf_online"])
def test_loads_biases_and_lagrangian_are_the_recorded_ones(name, rule):
    z = np.load(GOLDEN / f"{name}.npz")
    scores, u = torch.from_numpy(z["scores"]), float(z["u"])
    trace = dual.simulate(
        lambda n: scores[n % len(scores)], int(z["steps"]), int(z["topk"]), rule=rule,
        u=u if rule == "sign" else u * scores.shape[1],
    )  # fmt: skip
    assert np.array_equal(trace.counts.numpy(), z[f"counts{PLACES[rule]}"])
    np.testing.assert_allclose(trace.bias.numpy(), z[f"bias{PLACES[rule]}"], rtol=0, atol=1e-12)
    if rule == "sign":
        np.testing.assert_allclose(trace.lagrangian.numpy(), z["lagrangian"], rtol=0, atol=1e-10)
        violation = trace.counts.amax(1) / trace.counts.mean(1) - 1
        np.testing.assert_allclose(violation.numpy(), z["maxvio"], rtol=0, atol=1e-12)
        assert trace.counts.mean(1).numpy() == pytest.approx(float(z["target"]))


def test_moves_are_counted_from_the_expert_left_to_the_new_one():
    before = torch.tensor([[0, 1], [2, 3], [0, 1], [1, 0]])
    after = torch.tensor([[0, 2], [0, 1], [1, 0], [0, 1]])
    flow, flips = dual.moved(before, after, 4)
    assert flips == 2  # an order within a set is no move
    assert flow[1].tolist() == [0, 0, 1, 0]
    assert flow[2].tolist() == flow[3].tolist() == [0.5, 0.5, 0, 0]
    assert flow.sum() == 3


def test_under_fixed_scores_a_small_step_moves_tokens_from_overloaded_to_underloaded_experts_alone():
    scores = torch.rand(256, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** torch.arange(1, 7)
    bias = torch.zeros(6, dtype=torch.float64)
    before = dual.choose(scores, bias, 2)
    counts = dual.loads(before, 6)
    after = dual.choose(scores, bias + dual.step(counts.double(), 256, rule="sign", u=0.02, update=1), 2)
    flow, flips = dual.moved(before, after, 6)
    over = counts > counts.double().mean()
    assert flips > 0
    assert flow[~over].sum() == 0
    assert flow[:, over].sum() == 0


def test_a_rule_in_proportion_means_the_same_at_any_number_of_tokens():
    counts = torch.tensor([10.0, 30.0])
    one = dual.step(counts, 20, rule="inv_n", u=0.1, update=2)
    assert torch.allclose(one, dual.step(4 * counts, 80, rule="inv_n", u=0.1, update=2))
    assert not torch.allclose(one, dual.step(counts, 20, rule="inv_n", u=0.1, update=1))


def test_a_new_rule_counts_its_updates_from_one():
    clock = dual.Clock()
    assert [clock.tick(r) for r in ("inv_n", "inv_n", "sign", "inv_n")] == [1, 2, 1, 1]
    again = dual.Clock()
    again.load_state_dict(clock.state_dict())
    assert again.tick("inv_n") == 2


def test_scores_that_are_no_numbers_and_too_few_slots_are_refused():
    with pytest.raises(InvalidValue, match="Scores must be finite"):
        dual.choose(torch.tensor([[0.1, float("nan")]]), torch.zeros(2), 1)
    with pytest.raises(InvalidValue, match="at least the 8 experts; got 3 × 2"):
        dual.choose(torch.rand(3, 8), torch.zeros(8), 2)
