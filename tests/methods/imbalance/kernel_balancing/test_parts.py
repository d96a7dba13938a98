"""Kernels, propensities, the dual solver and the authors' alternating scheme."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import ndcg_score
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.methods.imbalance.kernel_balancing import alternating, balance, judge, kernels, propensity

GOLDEN = Path(__file__).parents[3] / "golden"


def as_released(name):
    """The golden arrays, and what is computed from them: features, kernels and inverse propensities."""
    with np.load(GOLDEN / f"kernel_balancing_{name}.npz") as file:
        g = {key: file[key] for key in file}
    sampled = g["all_pairs"][: int(g["G"]) * len(g["observed_pairs"])]

    def features(pairs):
        both = (g["user_embedding"][pairs[:, 0]], g["item_embedding"][pairs[:, 1]])
        return kernels.shipped_features(np.concatenate(both, 1))

    basis, rated, every = (features(p) for p in (sampled[g["basis_index"]], g["observed_pairs"], sampled))
    for found, key in ((basis, "feat_basis"), (rated, "feat_obs"), (every, "feat_all")):
        np.testing.assert_allclose(found, g[key], rtol=1e-12)
    kind = {"gau": "gaussian", "exp": "laplace"}[name]
    return g, *(kernels.kernel(points, basis, kind=kind, rate=0.1) for points in (rated, every))


@pytest.mark.parametrize("name", ["gau", "exp"])
def test_kernels_and_propensities_are_those_of_the_authors(name):
    g, K, K_all = as_released(name)
    np.testing.assert_allclose(K, g["K_obs"], rtol=1e-12)
    np.testing.assert_allclose(K_all, g["K_all"], rtol=1e-12)
    cells = float(np.prod(g["observed_pairs"].max(0)))  # as released: the product of the largest indices
    found = propensity.naive_bayes(g["observed_labels"], g["unbiased_labels"], cells)
    np.testing.assert_allclose(propensity.inverse(found), g["inverse_propensity_nb"], rtol=1e-12)


@pytest.mark.parametrize("name", ["gau", "exp"])
def test_the_alternating_scheme_takes_the_authors_steps(name):
    g, K, K_all = as_released(name)
    models = []
    for role in ("weight", "prediction"):
        model = alternating.Factors(6, 8).double()
        parts = {f"{part}.weight": torch.from_numpy(g[f"init_{role}_model_{part}_weight"]) for part in "WH"}
        model.load_state_dict(parts)
        short = {"weight": "weight", "prediction": "pred"}[role]
        rate, decay = float(g[f"lr_{short}"]), float(g[f"wd_{short}"])
        models.append((model, torch.optim.Adam(model.parameters(), lr=rate, weight_decay=decay)))
    (weigh, weighing), (predict, predicting) = models
    pairs, labels = torch.from_numpy(g["observed_pairs"]), torch.from_numpy(g["observed_labels"])
    inverse, target = torch.from_numpy(g["inverse_propensity_nb"]), torch.from_numpy(K_all.mean(0))
    for loss_weight, loss_prediction in zip(g["loss_weight_per_epoch"], g["loss_prediction_per_epoch"], strict=True):
        loss, weights = alternating.step(
            weigh, weighing, pairs, inverse, torch.from_numpy(K), target, gamma=float(g["gamma"]), slack=float(g["C"])
        )
        error = F.binary_cross_entropy(predict(pairs), labels, weight=weights)
        predicting.zero_grad()
        error.backward()
        predicting.step()
        assert loss == pytest.approx(loss_weight, rel=1e-10)
        assert error.item() == pytest.approx(loss_prediction, rel=1e-10)
    np.testing.assert_allclose(weights, g["final_weights"], rtol=1e-10)
    with torch.no_grad():
        np.testing.assert_allclose(predict(torch.from_numpy(g["all_pairs"])), g["final_pred"], rtol=1e-10)


def test_one_hinge_for_all_lets_opposite_deviations_cancel():
    weights, K = torch.ones(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    target = torch.tensor([0.5, 0.5])
    together = alternating.weight_loss(weights, K, target, gamma=1.0, slack=0.0)
    apart = alternating.weight_loss(weights, K, target, gamma=1.0, slack=0.0, sum_over_basis=False)
    assert float(together) == 0
    assert float(apart) == 1


def problem(seed, n=40, functions=4):
    """Functions of all points, of which the observed are those on one side, mostly."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((200, 2))
    seen = points[rng.random(200) < 1 / (1 + np.exp(-points[:, 0]))][:n]
    basis = points[:functions]
    K, every = (kernels.kernel(p, basis, kind="gaussian", rate=0.5) for p in (seen, points))
    return K, every.mean(0), rng.uniform(0.5, 2, len(K))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slack", [1e-3, 0.02])
def test_the_dual_finds_the_weights_of_the_primal(seed, slack):
    K, target, base = problem(seed)
    found = balance.solve(K, target, base=base, slack=slack, ridge=0, tolerance=1e-8)
    b = base / base.sum()
    limits = [{"type": "ineq", "fun": lambda w, s=s: slack - s * (target - w @ K), "jac": lambda w, s=s: s * K.T}
              for s in (1, -1)]  # fmt: skip
    primal = minimize(
        lambda w: float((w * np.log(w / b)).sum()), b, jac=lambda w: np.log(w / b) + 1, method="SLSQP",
        bounds=[(1e-9, 1)] * len(b), constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}, *limits],
        options={"maxiter": 500, "ftol": 1e-13},
    )  # fmt: skip
    assert primal.success
    np.testing.assert_allclose(found.weights, primal.x, atol=2e-5)
    assert found.feasible
    assert np.abs(found.gaps).max() <= slack + 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-4, 0.1))
def test_weights_sum_to_one_and_what_is_called_balanced_is(seed, slack):
    K, target, base = problem(seed)
    found = balance.solve(K, target, base=base, slack=slack)
    assert found.weights.sum() == pytest.approx(1)
    assert found.feasible == (np.abs(found.gaps).max() <= 1.5 * slack + 1e-6)
    np.testing.assert_allclose(found.gaps, balance.gaps(K, target, found.weights))


def test_what_is_balanced_already_keeps_its_base_weights():
    K, _, base = problem(0)
    found = balance.solve(K, base / base.sum() @ K, base=base, slack=1e-3)
    np.testing.assert_allclose(found.weights, base / base.sum(), rtol=1e-6)


def test_out_of_reach_is_told_and_comes_as_near_as_it_can():
    K, target, base = problem(1)
    found = balance.solve(K, np.full_like(target, 2.0), base=base, slack=1e-3)  # a Gaussian is at most 1
    assert not found.feasible
    assert np.isfinite(found.weights).all()


def test_effective_sample_size_and_clipping_worked_by_hand():
    assert balance.effective_sample_size(np.ones(7)) == 1
    assert balance.effective_sample_size(np.array([1.0, 0, 0, 0])) == 0.25
    cut = balance.clipped(np.array([1.0, 1, 1, 7]), 0.5)
    assert cut.tolist() == [0.25] * 4
    assert balance.clipped(np.array([1.0, 3]), 1).tolist() == [0.25, 0.75]


def test_means_over_many_points_are_those_of_one_big_matrix(monkeypatch):
    points = np.random.default_rng(0).random((50, 3))
    whole = kernels.kernel(points, points[:4], kind="laplace", rate=2.0).mean(0)
    monkeypatch.setattr(kernels, "_BLOCK", 28)
    np.testing.assert_allclose(kernels.mean_kernel(points, points[:4], kind="laplace", rate=2.0), whole)


def test_the_first_five_are_ranked_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    likes, scores = (rng.random((30, 12)) < 0.4).astype(float), rng.random((30, 12))
    some = likes.sum(1) > 0
    assert judge.top(likes, scores)["ndcg_5"] == pytest.approx(ndcg_score(likes[some], scores[some], k=5))
    assert judge.top(np.array([[1.0, 0, 1]]), np.array([[3.0, 2, 1]]), k=2)["recall_2"] == 0.5


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda k, t, b: balance.solve(k, t, base=-b, slack=0.1), "finite and above 0; that of rating 0 is -"),
        (lambda k, t, b: balance.solve(k, t, base=b, slack=-0.1), "slack must be 0 or more; got -0.1"),
        (lambda k, t, b: balance.solve(k, t[1:], base=b, slack=0.1), r"K must be \(n, J\), target \(J,\)"),
        (lambda k, t, b: propensity.inverse(np.array([0.5, 0.0])), "must lie above 0: pair 1 has 0"),
        (lambda k, t, b: propensity.naive_bayes(np.array([0.0, 3]), np.array([0.0, 1]), 9), "0 .* or 1 .*; found 3"),
        (lambda k, t, b: propensity.naive_bayes(np.array([0.0, 1]), np.ones(3), 9), "unbiased labels are all alike"),
        (lambda k, t, b: kernels.kernel(k, k, kind="box", rate=1), "one of gaussian, laplace; got 'box'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, says):
    with pytest.raises(InvalidValue, match=says):
        call(*problem(0))
