"""Advantages equal trl's, and what they promise: constant groups teach nothing, whitening, order does not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.advantages import (
    gae,
    group_advantages,
    token_rewards,
    whiten,
    zero_std_share,
)

GOLDEN = Path(__file__).parents[3] / "golden"
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def arrays(name: str) -> dict[str, torch.Tensor]:
    return {k: torch.from_numpy(v) for k, v in np.load(GOLDEN / f"{name}.npz").items()}


def masks(a: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the response, and of the position after it too, where trl's reward and last value stand."""
    position = torch.arange(a["rewards"].shape[1])
    return position < a["lengths"][:, None], position <= a["lengths"][:, None]


def some(seed: int = 0, rows: int = 6, length: int = 9) -> tuple[torch.Tensor, ...]:
    """Rewards, values and mask of responses with different lengths."""
    g = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn(2, rows, length, generator=g, dtype=torch.float64)
    mask = torch.arange(length) < torch.randint(1, length + 1, (rows, 1), generator=g)
    return rewards * mask, values * mask, mask


@pytest.mark.parametrize("name", ["ppo_a", "ppo_b"])
def test_token_rewards_gae_and_whitening_are_trls(name):
    a = arrays(name)
    mask, with_end = masks(a)
    estimator = "k3" if a["kl_k3"] else "k1"
    rewards = token_rewards(a["scores"], a["logp"], a["ref_logp"], mask, beta=float(a["kl_coef"]), estimator=estimator,
                            score_at="after")  # fmt: skip
    torch.testing.assert_close(rewards, a["rewards"], **TIGHT)
    advantage, returns = gae(a["rewards"], a["values"], with_end, gamma=float(a["gamma"]), lam=float(a["lam"]))
    torch.testing.assert_close(returns, a["returns"], **TIGHT)
    torch.testing.assert_close(advantage, (a["returns"] - a["values"]) * with_end, **TIGHT)
    torch.testing.assert_close(whiten(advantage, mask, "full"), a["advantages_whitened"], **TIGHT)


@pytest.mark.parametrize("name", ["grpo_binary", "grpo_real"])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_group_advantages_are_trls(name, scale):
    a = arrays(name)
    group = int(a["num_generations"])
    torch.testing.assert_close(group_advantages(a["rewards"], group, scale=scale), a[f"adv_{scale}"], **TIGHT)
    assert zero_std_share(a["rewards"], group) == np.mean(
        [len(set(r.tolist())) == 1 for r in a["rewards"].view(-1, group)]
    )


def test_the_reward_stands_at_the_last_token_and_the_kl_at_each():
    logp, ref = (
        torch.tensor([[-1.0, -2.0, 0.0], [-1.0, -1.0, -3.0]]),
        torch.tensor([[-2.0, -2.0, 0.0], [-1.0, -2.0, -1.0]]),
    )
    mask = torch.tensor([[True, True, False], [True, True, True]])
    rewards = token_rewards(torch.tensor([1.0, 0.0]), logp, ref, mask, beta=0.1)
    torch.testing.assert_close(rewards, torch.tensor([[-0.1, 1.0, 0.0], [0.0, -0.1, 0.2]]))
    after = token_rewards(torch.tensor([1.0, 5.0]), logp, ref, mask, beta=0.0, score_at="after")
    torch.testing.assert_close(after, torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 5.0]]))  # no room: at the last token


def test_advantages_sum_the_discounted_errors():
    rewards, values, mask = some()
    gamma, lam = 0.9, 0.7
    found, returns = gae(rewards, values, mask, gamma=gamma, lam=lam)
    for b, length in enumerate(mask.sum(1).tolist()):
        v = [*values[b, :length].tolist(), 0.0]
        delta = [rewards[b, t].item() + gamma * v[t + 1] - v[t] for t in range(length)]
        for t in range(length):
            by_hand = sum((gamma * lam) ** i * d for i, d in enumerate(delta[t:]))
            assert found[b, t].item() == pytest.approx(by_hand, rel=1e-12)
            assert returns[b, t].item() == pytest.approx(by_hand + v[t], rel=1e-12)
    assert (found[~mask] == 0).all()


def test_lambda_one_is_the_reward_to_come_and_lambda_zero_one_step():
    rewards, values, mask = some(1)
    whole, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
    to_come = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(returns[mask], to_come[mask])
    torch.testing.assert_close(whole[mask], (to_come - values)[mask])
    one, _ = gae(rewards, values, mask, gamma=1.0, lam=0.0)
    following = torch.cat([values[:, 1:], torch.zeros(len(values), 1, dtype=values.dtype)], 1)
    torch.testing.assert_close(one[mask], (rewards + following - values)[mask])


def test_whitening_gives_mean_0_and_deviation_1_over_the_mask():
    advantage, _, mask = some(2)
    full = whiten(3 * advantage + 5, mask, "full")
    assert full[mask].mean().abs() < 1e-12
    assert full[mask].std().item() == pytest.approx(1, abs=1e-6)
    std = whiten(3 * advantage + 5, mask, "std")
    assert std[mask].std().item() == pytest.approx(1, abs=1e-6)
    assert (std[mask] * full[mask].sign() != full[mask] * full[mask].sign()).all()  # the mean stayed
    torch.testing.assert_close(whiten(advantage, mask, "off"), advantage * mask)
    for how in ("full", "std", "off"):
        assert (whiten(advantage + 1, mask, how)[~mask] == 0).all()


def test_a_group_of_equal_rewards_teaches_nothing_exactly():
    rewards = torch.cat([torch.full((7,), 0.1), torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0])])
    for scale in ("group", "batch", "none"):
        found = group_advantages(rewards, 7, scale=scale)
        assert (found[:7] == 0).all()  # although the mean of seven tenths is not a tenth
        assert found[7:].abs().min() > 0
    assert zero_std_share(rewards, 7) == 0.5
    assert zero_std_share(torch.ones(8), 4) == 1
    assert (group_advantages(torch.ones(8), 4, scale="batch") == 0).all()


def test_the_order_of_the_batch_does_not_matter():
    rewards, values, mask = some(3)
    order = torch.randperm(len(mask), generator=torch.Generator().manual_seed(0))
    here = gae(rewards, values, mask, gamma=0.9, lam=0.8)
    there = gae(rewards[order], values[order], mask[order], gamma=0.9, lam=0.8)
    for kept, moved in zip(here, there, strict=True):
        torch.testing.assert_close(kept[order], moved, rtol=0, atol=0)
    torch.testing.assert_close(
        whiten(rewards, mask)[order], whiten(rewards[order], mask[order]), rtol=1e-10, atol=1e-12
    )
    grouped = torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inside = torch.randperm(6, generator=torch.Generator().manual_seed(2))
    one = group_advantages(grouped.flatten(), 6).view(4, 6)[:, inside]
    torch.testing.assert_close(
        one, group_advantages(grouped[:, inside].flatten(), 6).view(4, 6), rtol=1e-10, atol=1e-12
    )


def test_what_cannot_be_judged_is_refused():
    row = torch.zeros(2, 3)
    for group, words in (
        (1, "A group must have at least 2 responses to compare; got 1"),
        (0, "A group must have at least 2 responses to compare; got 0"),
        (3, "Groups of 3 do not divide 4 responses"),
    ):
        with pytest.raises(InvalidValue, match=words):
            group_advantages(torch.ones(4), group)
        with pytest.raises(InvalidValue, match=words):
            zero_std_share(torch.ones(4), group)
    with pytest.raises(InvalidValue, match="scale must be one of"):
        group_advantages(torch.ones(4), 2, scale="std")
    with pytest.raises(InvalidValue, match="whiten must be one of"):
        whiten(row, row == 0, "all")
    with pytest.raises(InvalidValue, match="score_at must be one of"):
        token_rewards(torch.ones(2), row, row, row == 0, beta=0.0, score_at="first")
    with pytest.raises(InvalidValue, match="Response 1 is empty"):
        token_rewards(torch.ones(2), row, row, torch.tensor([[True] * 3, [False] * 3]), beta=0.0)
