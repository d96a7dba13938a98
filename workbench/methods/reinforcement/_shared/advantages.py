"""What a sampled token was worth: generalised advantages with a critic, or rewards compared within a group.

Tensors are (B, T), B responses of at most T tokens; `mask` (B, T) is true on a response's tokens, which begin at 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.losses import kl, masked_mean, within

WHITEN = ("full", "std", "off")
SCALES = ("group", "batch", "none")
SCORE_AT = ("last", "after")


@torch.no_grad()
def token_rewards(
    scores: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, *, beta: float, estimator: str = "k1",
    score_at: str = "last",
) -> Tensor:  # fmt: skip
    """(B, T): -beta times the KL's estimate at each token, plus the response's score (B,) at its end.

    Args:
        score_at: ``last``: at the last token; ``after``: one past it, if there is room, as trl's PPO does.
    """
    if score_at not in SCORE_AT:
        raise InvalidValue(f"score_at must be one of {', '.join(SCORE_AT)}; got {score_at!r}.")
    logp, ref_logp = within(logp, mask, "The log-probabilities"), within(ref_logp, mask, "The reference's")
    rewards = -beta * kl(logp, ref_logp, estimator) * mask
    lengths = mask.sum(1)
    if bool((lengths < 1).any()):
        raise InvalidValue(f"Response {int((lengths < 1).nonzero()[0])} is empty: there is no token to reward.")
    at = lengths if score_at == "after" else lengths - 1
    at = torch.where(at < mask.shape[1], at, lengths - 1)
    return rewards.scatter_add(1, at[:, None], scores[:, None].to(rewards.dtype))


@torch.no_grad()
def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns (their sum with the values), both (B, T).

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = sum_l (gamma lambda)^l delta_{t+l} (Schulman et al. 2016). Rewards and
    values behind a response's end have to be 0, or to mean something: nothing is cut off at the mask, which only says
    what is left of the result.
    """
    for name, factor in {"gamma": gamma, "lambda": lam}.items():
        if not 0 <= factor <= 1:
            raise InvalidValue(f"{name} must be between 0 and 1; got {factor}.")
    everywhere = torch.ones_like(mask)
    rewards, values = within(rewards, everywhere, "The rewards"), within(values, everywhere, "The critic's values")
    advantage, found = torch.zeros_like(rewards[:, 0]), []
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < values.shape[1] else 0.0
        delta = rewards[:, t] + gamma * following - values[:, t]
        advantage = delta + gamma * lam * advantage
        found.append(advantage)
    raw = torch.stack(found[::-1], 1)
    return raw * mask, raw + values


def whiten(advantage: Tensor, mask: Tensor, how: str = "full") -> Tensor:
    """Divide by the deviation over all tokens (``std``) and, ``full``, take the mean away first; 0 outside the mask.

    The variance is Bessel's, 1e-8 is added under the root (trl). Taking the mean away decides the sign of the early
    tokens' advantages.
    """
    if how not in WHITEN:
        raise InvalidValue(f"whiten must be one of {', '.join(WHITEN)}; got {how!r}.")
    if how == "off":
        return advantage * mask
    count = mask.sum()
    mean = masked_mean(advantage, mask)
    variance = ((advantage - mean) ** 2 * mask).sum() / (count - 1).clamp(min=1)
    centred = advantage - mean if how == "full" else advantage
    return centred * torch.rsqrt(variance + 1e-8) * mask


def group_advantages(rewards: Tensor, group: int, *, scale: str = "group", eps: float = 1e-4) -> Tensor:
    """(B,): reward minus the mean of its group of `group` neighbours, over a deviation (GRPO; trl's lines).

    Args:
        scale: what it is divided by: the deviation of its ``group``, of the whole ``batch``, or ``none``. Deviations
            are Bessel's, with eps added. A group whose rewards are all the same gets exactly 0.

    Raises:
        InvalidValue: a group of one, which has nothing to be compared with, or one that does not divide the batch.
    """
    if scale not in SCALES:
        raise InvalidValue(f"scale must be one of {', '.join(SCALES)}; got {scale!r}.")
    rewards = rewards if rewards.is_floating_point() else rewards.double()
    rows = within(_groups(rewards, group), torch.ones_like(_groups(rewards, group)), "The rewards")
    centred = rows - rows.mean(1, keepdim=True)
    centred = torch.where(_same(rows), torch.zeros_like(centred), centred)
    if scale == "group":
        centred = centred / (rows.std(1, keepdim=True) + eps)
    elif scale == "batch":
        centred = centred / (rewards.std() + eps)
    return centred.flatten()


def zero_std_share(rewards: Tensor, group: int) -> float:
    """Share of groups whose rewards are all the same; they teach nothing."""
    return float(_same(_groups(rewards, group)).double().mean())


def _groups(rewards: Tensor, group: int) -> Tensor:
    if group < 2:
        raise InvalidValue(f"A group must have at least 2 responses to compare; got {group}.")
    if rewards.numel() % group:
        raise InvalidValue(f"Groups of {group} do not divide {rewards.numel()} responses.")
    return rewards.view(-1, group)


def _same(rows: Tensor) -> Tensor:
    return (rows == rows[:, :1]).all(1, keepdim=True)
