"""Objectives, their gradients and what they count equal trl's; the mask holds; what is broken is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.methods.reinforcement._shared import losses

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
CASES = {
    "grpo_binary": ("grpo", "grpo_kl", "bnpo", "dr_grpo", "dapo", "gspo", "cispo", "two_sided", "top_entropy"),
    "grpo_real": ("grpo", "grpo_kl", "dapo", "dr_grpo", "gspo"),
}


def arrays(name: str) -> dict[str, torch.Tensor]:
    return {k: torch.from_numpy(v) for k, v in np.load(GOLDEN / f"{name}.npz").items()}


def batch(seed: int = 0, rows: int = 5, length: int = 7) -> tuple[torch.Tensor, ...]:
    """logp, old logp, advantage (B, T), mask."""
    g = torch.Generator().manual_seed(seed)
    logp = -torch.rand(rows, length, generator=g, dtype=torch.float64) * 3
    old = logp + 0.4 * torch.randn(rows, length, generator=g, dtype=torch.float64)
    advantage = torch.randn(rows, 1, generator=g, dtype=torch.float64).expand(rows, length)
    mask = torch.arange(length) < torch.randint(1, length + 1, (rows, 1), generator=g)
    return logp, old, advantage, mask


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_loss_gradient_and_counts_are_trls(name, case):
    a = arrays(name)
    clip_low, clip_high, delta, beta, share = a[f"{case}__cfg"].tolist()
    logp, mask = a["logp"].clone().requires_grad_(), a["mask"].bool()
    advantage = a["adv_group"][:, None]
    if share < 1:  # only the tokens with the highest entropy are taught
        advantage = advantage * (a["entropy"] >= torch.quantile(a["entropy"][mask], 1 - share))
    penalty = beta * losses.kl(logp, a["ref_logp"], "k3") if beta else None
    loss = {"grpo_kl": "grpo", "two_sided": "dapo", "top_entropy": "dapo"}.get(case, case)
    found = losses.policy(logp, a["old_logp"], advantage, mask, loss=loss, clip_low=clip_low, clip_high=clip_high,
                          constant=int(a["max_completion_length"]), penalty=penalty,
                          delta=None if np.isnan(delta) else delta)  # fmt: skip
    torch.testing.assert_close(found.loss.detach(), a[f"{case}__loss"], **TIGHT)
    found.loss.backward()
    torch.testing.assert_close(logp.grad, a[f"{case}__grad"], **TIGHT)
    if share == 1 and case != "cispo":  # trl also counts tokens it does not teach
        assert found.clip_low == pytest.approx(a[f"{case}__clip_ratio_low_mean"].item(), rel=1e-6)  # its are float32
        assert found.clip_high == pytest.approx(a[f"{case}__clip_ratio_high_mean"].item(), rel=1e-6)
        both = a[f"{case}__clip_ratio_region_mean"].item()
        assert found.clip_low + found.clip_high == pytest.approx(both, rel=1e-6)
    if beta:
        kl = losses.masked_mean(losses.kl(a["logp"], a["ref_logp"], "k3"), mask).item()
        assert kl == pytest.approx(a[f"{case}__kl"].item(), rel=1e-10)


@pytest.mark.parametrize("name", ["ppo_a", "ppo_b"])
def test_ppos_losses_and_gradients_are_trls(name):
    a = arrays(name)
    position = torch.arange(a["logp"].shape[1])
    mask, with_end = position < a["lengths"][:, None], position <= a["lengths"][:, None]
    new, predicted = a["new_logp"].clone().requires_grad_(), a["vpred"].clone().requires_grad_()
    clip = float(a["cliprange"])
    pg = losses.policy(new, a["logp"], a["advantages_whitened"], mask, loss="bnpo", clip_low=clip, clip_high=clip).loss
    vf = losses.value(predicted, a["returns"], with_end, old=a["values"], clip=float(a["cliprange_value"]))
    torch.testing.assert_close(pg.detach(), a["pg_loss"], **TIGHT)
    torch.testing.assert_close(vf.detach(), a["vf_loss"], **TIGHT)
    loss = pg + float(a["vf_coef"]) * vf
    torch.testing.assert_close(loss.detach(), a["loss"], **TIGHT)
    loss.backward()
    torch.testing.assert_close(new.grad, a["grad_logp"], **TIGHT)
    torch.testing.assert_close(predicted.grad, a["grad_vpred"], **TIGHT)
    kl = losses.kl(a["logp"], a["ref_logp"], "k3" if a["kl_k3"] else "k1")
    torch.testing.assert_close(kl, a["kl"], **TIGHT)


def test_the_estimators_of_the_kl():
    g = torch.Generator().manual_seed(0)
    p = torch.randn(50, generator=g, dtype=torch.float64).log_softmax(0)
    q = torch.randn(50, generator=g, dtype=torch.float64).log_softmax(0)
    true = (p.exp() * (p - q)).sum()
    for unbiased in ("k1", "k3"):  # expected under the policy, summed out instead of sampled
        torch.testing.assert_close((p.exp() * losses.kl(p, q, unbiased)).sum(), true)
    assert (losses.kl(p, q, "k3") >= 0).all()
    assert (losses.kl(p, q, "k2") >= 0).all()
    assert (losses.kl(p, q, "k1") < 0).any()
    for name in losses.ESTIMATORS:
        assert (losses.kl(p, p, name) == 0).all()


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_at_the_old_policy_the_gradient_is_the_policy_gradient(loss):
    _, old, advantage, mask = batch()
    logp = old.clone().requires_grad_()
    found = losses.policy(logp, old, advantage, mask, loss=loss, clip_high=1.2 if loss == "cispo" else 0.2)
    found.loss.backward()
    assert found.clip_low == found.clip_high == 0
    assert found.ratio_max == 1
    own = {
        "grpo": mask / mask.sum(1, keepdim=True) / len(mask),
        "gspo": mask / mask.sum(1, keepdim=True) / len(mask),
        "dr_grpo": mask / mask.numel(),
    }.get(loss, mask / mask.sum())
    torch.testing.assert_close(logp.grad, -advantage * own)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_the_mask_and_the_order_of_the_batch(loss):
    logp, old, advantage, mask = batch(1)
    rule = {"loss": loss, "clip_high": 1.2 if loss == "cispo" else 0.2}
    order = torch.tensor([3, 0, 4, 1, 2])
    elsewhere = torch.where(mask, logp, -0.5).requires_grad_()
    one = losses.policy(logp, old, advantage, mask, **rule)
    other = losses.policy(elsewhere, torch.where(mask, old, -9.0), advantage, mask, **rule)
    other.loss.backward()
    torch.testing.assert_close(one.loss, other.loss.detach())
    assert (elsewhere.grad[~mask] == 0).all()
    if loss != "cispo":
        assert (one.clip_low, one.clip_high, one.ratio_max) == (other.clip_low, other.clip_high, other.ratio_max)
    moved = losses.policy(logp[order], old[order], advantage[order], mask[order], **rule)
    torch.testing.assert_close(one.loss, moved.loss)


def test_the_clip_takes_the_gradient_where_the_ratio_has_gone_far_enough():
    old, mask = torch.zeros(4, 1), torch.ones(4, 1)
    logp = torch.tensor([[0.5], [0.5], [-0.5], [-0.5]], requires_grad=True)  # ratios 1.65 and 0.61
    advantage = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    found = losses.policy(logp, old, advantage, mask, loss="bnpo")
    found.loss.backward()
    assert (logp.grad.flatten() != 0).tolist() == [False, True, True, False]
    assert (found.clip_low, found.clip_high) == (0.25, 0.25)
    assert found.ratio_max == pytest.approx(np.exp(0.5), rel=1e-6)


def test_dapo_over_minibatches_is_the_mean_over_all_tokens():
    logp, old, advantage, mask = batch(2, rows=6)
    whole = losses.policy(logp, old, advantage, mask, loss="dapo").loss
    halves = [losses.policy(logp[i], old[i], advantage[i], mask[i], loss="dapo", tokens=int(mask.sum())).loss
              for i in (slice(0, 3), slice(3, 6))]  # fmt: skip
    torch.testing.assert_close(halves[0] + halves[1], whole)


def test_the_critic_pays_the_larger_of_two_errors():
    predicted, returns, mask = torch.tensor([[2.0, 9.0]]), torch.tensor([[0.0, 0.0]]), torch.tensor([[True, False]])
    assert losses.value(predicted, returns, mask).item() == 2.0
    old = torch.tensor([[2.5, 0.0]])
    assert losses.value(predicted, returns, mask, old=old, clip=0.1).item() == pytest.approx(2.4**2 / 2)
    assert losses.value(predicted, returns, mask, old=old, clip=5.0).item() == 2.0


def test_what_is_broken_is_refused_by_name():
    logp, old, advantage, mask = batch()
    broken = logp.clone()
    broken[0, 0] = float("nan")
    with pytest.raises(InvalidValue, match="log-probabilities"):
        losses.policy(broken, old, advantage, mask)
    with pytest.raises(InvalidValue, match="advantages"):
        losses.policy(logp, old, advantage * float("inf"), mask)
    with pytest.raises(UnknownName, match="no loss 'ppo'"):
        losses.policy(logp, old, advantage, mask, loss="ppo")
    with pytest.raises(UnknownName, match="no KL estimator 'k4'"):
        losses.kl(logp, old, "k4")


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_inside_the_mask_and_ignored_outside(which, broken):
    *tensors, mask = batch()
    mask = mask.clone()
    mask[1, 3:] = False
    before = losses.policy(*tensors, mask).loss
    tensors[which] = tensors[which].clone()
    tensors[which][1, 4] = broken
    assert losses.policy(*tensors, mask).loss == before
    tensors[which][1, 0] = broken
    with pytest.raises(InvalidValue, match="of response 1 hold a number that is not finite"):
        losses.policy(*tensors, mask)


def test_a_ratio_that_no_float_holds_is_refused():
    logp, old, advantage, mask = batch()
    with pytest.raises(InvalidValue, match="lower the learning rate"):
        losses.policy(logp + 1e4, old, advantage, mask)


def test_a_response_counts_once_in_the_clip_share_of_gspo():
    logp, old, advantage, mask = batch()
    advantage = advantage[:, :1]
    thin = losses.policy(logp, old, advantage, mask, loss="gspo", clip_low=0.01, clip_high=0.01)
    wide = losses.policy(logp, old, advantage * mask, mask, loss="gspo", clip_low=0.01, clip_high=0.01)
    assert (thin.clip_low, thin.clip_high) == (wide.clip_low, wide.clip_high)
    assert 0 < thin.clip_low + thin.clip_high <= 1
