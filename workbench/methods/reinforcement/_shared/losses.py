"""What the policy minimises: clipped ratios, how tokens are averaged, and estimates of the KL.

Tensors are (B, T) as in `advantages`; log-probabilities are of the sampled tokens, in nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue, UnknownName

T = TypeVar("T")

LOSSES = ("grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo")
ESTIMATORS = ("k1", "k2", "k3")


@dataclass(frozen=True)
class Objective:
    """A loss (scalar, with gradient), the shares of tokens that were clipped below and above, the largest ratio."""

    loss: Tensor
    clip_low: float
    clip_high: float
    ratio_max: float


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the mask."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def within(values: Tensor, mask: Tensor, what: str) -> Tensor:
    """The values, 0 outside the mask. Raises `InvalidValue` for one inside it that is not finite."""
    kept = torch.where(mask.bool(), values, torch.zeros_like(values))
    if not bool(torch.isfinite(kept).all()):
        row = int((~torch.isfinite(kept)).any(1).nonzero()[0])
        raise InvalidValue(f"{what} of response {row} hold a number that is not finite: something is broken there.")
    return kept


def kl(logp: Tensor, ref_logp: Tensor, estimator: str = "k3") -> Tensor:
    """Estimate of KL(policy || reference) at each token, with l = ref_logp - logp.

    k1 = -l has the right mean and may be negative; k2 = l²/2 is biased; k3 = exp(l) - 1 - l is never negative, and its
    gradient is not the KL's on off-policy data.
    """
    log_ratio = ref_logp - logp
    if estimator == "k1":
        return -log_ratio
    if estimator == "k2":
        return log_ratio**2 / 2
    if estimator == "k3":
        return torch.exp(log_ratio) - 1 - log_ratio
    raise UnknownName("KL estimator", estimator, ESTIMATORS)


def policy(
    logp: Tensor, old_logp: Tensor, advantage: Tensor, mask: Tensor, *, loss: str = "grpo", clip_low: float = 0.2,
    clip_high: float = 0.2, constant: int | None = None, penalty: Tensor | None = None, tokens: int | None = None,
    delta: float | None = None,
) -> Objective:  # fmt: skip
    """The family of clipped objectives: -min(ratio A, clip(ratio) A), averaged as the loss says.

    Args:
        advantage: (B, T), or (B, 1) where all of a response's tokens share one.
        loss: ``grpo`` mean over responses of the mean over their tokens (favours short right and long wrong ones);
            ``bnpo`` mean over all tokens; ``dapo`` sum over `tokens`, the tokens of the whole step; ``dr_grpo`` sum
            over B times `constant`; ``gspo`` as grpo with the ratio of the whole response (the mean log ratio's exp);
            ``cispo`` the ratio as a weight without gradient, cut off above at `clip_high`, times A log p.
        clip_low, clip_high: the ratio counts inside 1 - clip_low to 1 + clip_high (cispo: below `clip_high`).
        constant: longest response, for dr_grpo; by default T.
        penalty: (B, T) added at each token before averaging, such as beta times the KL.
        tokens: for dapo; by default those of the mask.
        delta: the unclipped ratio counts up to here at most (two-sided clipping); None: as far as it goes.

    Whatever stands outside the mask plays no part.

    Raises:
        UnknownName: no such loss.
        InvalidValue: a log-probability or an advantage that is not a finite number, or a ratio beyond what a float
            holds.
    """
    if loss not in LOSSES:
        raise UnknownName("loss", loss, LOSSES)
    logp = within(logp, mask, "The policy's log-probabilities")
    old_logp = within(old_logp, mask, "The old policy's log-probabilities")
    advantage = within(advantage.expand_as(logp), mask, "The advantages")
    log_ratio = logp - old_logp
    if loss == "gspo":
        log_ratio = ((log_ratio * mask).sum(1) / mask.sum(1).clamp(min=1))[:, None]
    ratio = log_ratio.exp()
    if not bool(torch.isfinite(ratio).all()):
        raise InvalidValue(
            "The ratio of the new to the old policy is beyond what a number can hold: the policy has moved too far in "
            "one step; lower the learning rate."
        )
    if loss == "cispo":
        each = -ratio.clamp(max=clip_high).detach() * advantage * logp
        low, high = torch.zeros_like(each, dtype=torch.bool), (ratio > clip_high) & (advantage > 0)
    else:
        free = ratio if delta is None else ratio.clamp(max=delta)
        each = -torch.min(free * advantage, ratio.clamp(1 - clip_low, 1 + clip_high) * advantage)
        low, high = (ratio < 1 - clip_low) & (advantage < 0), (ratio > 1 + clip_high) & (advantage > 0)
    if loss == "gspo":  # one ratio a response
        low, high = low[:, :1], high[:, :1]
    if penalty is not None:
        each = each + within(penalty, mask, "The penalties")
    inside = torch.where(mask.bool(), ratio.detach().expand_as(logp), torch.ones_like(logp))
    return Objective(
        _average(each, mask, loss, constant or mask.shape[1], tokens),
        clip_low=_share(low, mask),
        clip_high=_share(high, mask),
        ratio_max=float(inside.max()),
    )


def _share(clipped: Tensor, mask: Tensor) -> float:
    """Of the tokens, or of the responses where these have one ratio each."""
    return float(clipped.double().mean() if clipped.shape != mask.shape else masked_mean(clipped.double(), mask))


def _average(each: Tensor, mask: Tensor, loss: str, constant: int, tokens: int | None) -> Tensor:
    """Scalar: as `policy` says of each loss."""
    total = (each * mask).sum()
    if loss == "bnpo":
        return masked_mean(each, mask)
    if loss in ("dapo", "cispo"):
        return total / (tokens or mask.sum().clamp(min=1))
    if loss == "dr_grpo":
        return total / (len(each) * constant)
    return ((each * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()


def value(
    predicted: Tensor, returns: Tensor, mask: Tensor, *, old: Tensor | None = None, clip: float | None = None
) -> Tensor:
    """Half the squared error of the critic over the mask; with `clip` the larger of it and that of a clipped step."""
    errors = (predicted - returns) ** 2
    if clip is not None and old is not None:
        near = torch.max(torch.min(predicted, old + clip), old - clip)
        errors = torch.max(errors, (near - returns) ** 2)
    return masked_mean(errors, mask) / 2
