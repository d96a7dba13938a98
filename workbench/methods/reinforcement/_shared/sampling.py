"""Responses sampled from a tiny decoder, and what a decoder says of responses that were sampled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.vocabulary import EOS, FORBIDDEN, PAD, SIZE

OFF = -1e9  # a forbidden token's logit; finite, so that 0 * log 0 stays 0


@dataclass(frozen=True)
class Rollout:
    """Responses to B prompts of P tokens, T = `max_new` columns whatever the lengths.

    Attributes:
        tokens: (B, P+T) int64, prompt and response; `<pad>` after `<eos>`.
        responses: (B, T), the latter part of `tokens`.
        mask: (B, T) bool, what was sampled: `<eos>` is inside, `<pad>` is not.
        truncated: (B,) bool, those that reached T without `<eos>`.
        lengths: (B,) int64, tokens of each response, `<eos>` included.
        forbidden: tokens that could not be sampled; log-probabilities are of the others.
    """

    tokens: Tensor
    responses: Tensor
    mask: Tensor
    truncated: Tensor
    lengths: Tensor
    forbidden: tuple[int, ...]

    @property
    def start(self) -> int:
        """P, where the responses start."""
        return self.tokens.shape[1] - self.responses.shape[1]

    def take(self, rows: Tensor) -> Rollout:
        """These rows (numbers or a mask)."""
        return Rollout(
            self.tokens[rows], self.responses[rows], self.mask[rows], self.truncated[rows], self.lengths[rows],
            self.forbidden,
        )  # fmt: skip

    def trim(self) -> Rollout:
        """The same with only as many columns as the longest response needs."""
        longest = int(self.lengths.max())
        return Rollout(
            self.tokens[:, : self.start + longest], self.responses[:, :longest], self.mask[:, :longest],
            self.truncated, self.lengths, self.forbidden,
        )  # fmt: skip


def as_rollout(prompts: Tensor, responses: Tensor, forbidden: tuple[int, ...] = FORBIDDEN) -> Rollout:
    """The rollout that these prompts (B, P) and responses (B, T) are, such as a teacher's, `<pad>` after `<eos>`."""
    ended = (responses == EOS).long().cumsum(1)
    mask = (ended - (responses == EOS).long()) == 0
    return Rollout(
        torch.cat([prompts, responses], 1), responses, mask, ended[:, -1] == 0, mask.sum(1), tuple(forbidden)
    )


@torch.no_grad()
def rollout(
    model: Decoder, prompts: Tensor, *, max_new: int, temperature: float, generator: torch.Generator,
    forbidden: tuple[int, ...] = FORBIDDEN, top_p: float = 1.0, min_p: float = 0.0, greedy: bool = False,
) -> Rollout:  # fmt: skip
    """Sample a response to each prompt (B, P) of int64, at most `max_new` tokens long.

    One multinomial draw a step for all rows from `generator`, which lives on the model's device, until all rows have
    ended; so the same state of the generator gives the same rollout. `top_p` keeps the likeliest tokens that together
    have that probability, `min_p` those at least that likely relative to the likeliest; `greedy` takes the likeliest
    and draws nothing. Raises `InvalidValue` for a length below 1, a temperature that is not positive, prompts that are
    not (B, P), more tokens than the model's context, or logits that are not numbers.
    """
    _check(prompts, max_new, temperature, forbidden, top_p, min_p)
    b, p = prompts.shape
    if p + max_new - 1 > model.trunk.context:
        raise InvalidValue(
            f"The model's context is {model.trunk.context} tokens: after a prompt of {p} a response can have at most "
            f"{model.trunk.context - p + 1}; max_new is {max_new}."
        )
    responses = torch.full((b, max_new), PAD, dtype=torch.int64, device=prompts.device)
    done = torch.zeros(b, dtype=torch.bool, device=prompts.device)
    off = _off(forbidden, prompts.device)
    cache, given = model.trunk.cache(b), prompts
    for t in range(max_new):
        logits = model(given, cache)[:, -1]
        if not bool(torch.isfinite(logits).all()):
            row = int((~torch.isfinite(logits)).any(1).nonzero()[0])
            raise InvalidValue(
                f"The model's logits are not finite at token {t + 1} of response {row}: its weights are broken; "
                "lower the learning rate, or start from weights that are whole."
            )
        logits = logits.masked_fill(off, OFF)
        if greedy:
            chosen = logits.argmax(-1)
        else:
            shares = _cut((logits / temperature).softmax(-1), top_p, min_p)
            chosen = torch.multinomial(shares, 1, generator=generator).squeeze(1)
        chosen = chosen.masked_fill(done, PAD)
        responses[:, t] = chosen
        done = done | (chosen == EOS)
        if bool(done.all()):
            break
        given = chosen[:, None]
    return as_rollout(prompts, responses, forbidden)


def _check(
    prompts: Tensor, max_new: int, temperature: float, forbidden: tuple[int, ...], top_p: float, min_p: float
) -> None:
    if prompts.ndim != 2 or not prompts.numel() or prompts.dtype != torch.int64:
        raise InvalidValue(
            f"The prompts must be int64 tokens (B, P), at least one row; got {prompts.dtype} {tuple(prompts.shape)}."
        )
    if max_new < 1:
        raise InvalidValue(f"max_new, the longest response, must be at least 1 token; got {max_new}.")
    _check_temperature(temperature)
    if not 0 < top_p <= 1:
        raise InvalidValue(f"top_p must be above 0 and at most 1; got {top_p}.")
    if not 0 <= min_p <= 1:
        raise InvalidValue(f"min_p must be from 0 to 1; got {min_p}.")
    if any(not 0 <= token < SIZE for token in forbidden) or len(set(forbidden)) >= SIZE:
        raise InvalidValue(f"The forbidden tokens must be some of 0 to {SIZE - 1}, not all; got {forbidden}.")


def _check_temperature(temperature: float) -> None:
    if not 0 < temperature < float("inf"):
        raise InvalidValue(
            f"The temperature of sampling must be a number above 0; got {temperature}. Use greedy for 0."
        )


def _off(forbidden: tuple[int, ...], device: torch.device) -> Tensor:
    off = torch.zeros(SIZE, dtype=torch.bool)
    off[list(forbidden)] = True
    return off.to(device)


def _cut(shares: Tensor, top_p: float, min_p: float) -> Tensor:
    """Probabilities (B, V) without the tail, not normalised again (multinomial doesn't need it)."""
    if min_p > 0:
        shares = shares.masked_fill(shares < min_p * shares.amax(-1, keepdim=True), 0)
    if top_p < 1:
        ordered, which = (shares / shares.sum(-1, keepdim=True)).sort(stable=True, dim=-1, descending=True)
        beyond = ordered.cumsum(-1) - ordered >= top_p  # the token that crosses top_p stays
        shares = shares.masked_fill(torch.zeros_like(beyond).scatter(-1, which, beyond), 0)
    return shares


def distributions(model: Decoder, taken: Rollout, temperature: float = 1.0) -> Tensor:
    """(B, T, vocabulary): log-probability of every token at every place of the responses, with gradients.

    Forbidden tokens have a log-probability of about -1e9 and probability 0, as in sampling; `top_p` and `min_p` are not
    repeated here. Places outside the mask hold numbers without meaning. Raises `InvalidValue` for a temperature that is
    not positive.
    """
    _check_temperature(temperature)
    logits = model(taken.tokens[:, :-1])[:, taken.start - 1 :]
    return (logits.masked_fill(_off(taken.forbidden, logits.device), OFF) / temperature).log_softmax(-1)


def logprobs(model: Decoder, taken: Rollout, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """Log-probability of the sampled tokens and entropy of the next token, nats, both (B, T) and 0 outside the mask.

    With gradients; errors as in `distributions`, which gives the whole of it.
    """
    everything = distributions(model, taken, temperature)
    logp = everything.gather(-1, taken.responses.unsqueeze(-1)).squeeze(-1)
    entropy = -(everything.exp() * everything).sum(-1)
    return logp.masked_fill(~taken.mask, 0), entropy.masked_fill(~taken.mask, 0)
