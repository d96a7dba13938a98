"""Sampling: from the right distribution, the same bits from the same generator, and a mask that ends with <eos>."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from workbench.cards.errors import InvalidValue
from workbench.methods.reinforcement._shared.model import Decoder
from workbench.methods.reinforcement._shared.sampling import Rollout, as_rollout, distributions, logprobs, rollout
from workbench.methods.reinforcement._shared.tasks import chain
from workbench.methods.reinforcement._shared.vocabulary import EOS, FORBIDDEN, PAD, SIZE, padded


@pytest.fixture(scope="module")
def model() -> Decoder:
    made = Decoder("xs", generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made.head.weight.mul_(20)  # a distribution that is not even
        made.head.bias[EOS] = 1.5  # about a tenth of the tokens ends a response
    return made


@pytest.fixture(scope="module")
def asked() -> Tensor:
    return torch.from_numpy(chain.sample(np.random.default_rng(0), 64).tokens)


def draw(model: Decoder, asked: Tensor, seed: int = 0, **options) -> Rollout:
    options = {"max_new": 20, "temperature": 1.0} | options
    return rollout(model, asked, generator=torch.Generator().manual_seed(seed), **options)


def test_the_same_state_gives_the_same_rollout_and_nothing_else_is_drawn(model, asked):
    before = torch.random.get_rng_state()
    one, two, other = draw(model, asked, 1), draw(model, asked, 1), draw(model, asked, 2)
    assert torch.equal(one.tokens, two.tokens)
    assert not torch.equal(one.tokens, other.tokens)
    assert (torch.random.get_rng_state() == before).all()


def test_the_mask_holds_the_end_and_nothing_behind_it(model, asked):
    taken = draw(model, asked)
    assert taken.tokens.shape == (64, 27)
    assert taken.start == 7
    assert torch.equal(taken.tokens[:, :7], asked)
    assert torch.equal(taken.tokens[:, 7:], taken.responses)
    assert taken.truncated.any()
    assert not taken.truncated.all()
    for row, mask, cut, length in zip(taken.responses, taken.mask, taken.truncated, taken.lengths, strict=True):
        assert mask.sum() == length
        assert mask[:length].all()
        assert (EOS in row.tolist()) == (not cut)
        assert length == (20 if cut else row.tolist().index(EOS) + 1)
        assert (row[length:] == PAD).all()


def test_it_stops_when_all_rows_have_ended_and_keeps_its_shape(model, asked):
    ending = Decoder("xs")
    ending.load_state_dict(model.state_dict())
    calls = []
    ending.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        ending.head.bias[EOS] = 50
    taken = draw(ending, asked)
    assert len(calls) == 1
    assert taken.responses.shape == (64, 20)
    assert (taken.lengths == 1).all()
    assert taken.trim().tokens.shape == (64, 8)
    assert taken.trim().start == 7


def test_forbidden_tokens_are_never_sampled_and_have_no_probability(model, asked):
    fond = Decoder("xs")
    fond.load_state_dict(model.state_dict())
    with torch.no_grad():
        fond.head.bias[list(FORBIDDEN)] = 30  # it wants nothing else
    taken = draw(fond, asked)
    assert not np.isin(taken.responses[taken.mask].numpy(), FORBIDDEN).any()
    everything = distributions(fond, taken)
    assert everything[..., list(FORBIDDEN)].exp().max() == 0
    torch.testing.assert_close(everything.exp().sum(-1), torch.ones(64, 20))
    assert all(torch.isfinite(t).all() for t in logprobs(fond, taken))
    free = draw(fond, asked, forbidden=(PAD,))
    assert not (free.responses[free.mask] == PAD).any()
    assert np.isin(free.responses[free.mask].numpy(), FORBIDDEN).any()


def test_log_probabilities_are_those_of_the_sampled_tokens_and_zero_outside(model, asked):
    taken = draw(model, asked, temperature=0.7)
    logp, entropy = logprobs(model, taken, 0.7)
    logits = model(taken.tokens)
    logits[..., list(FORBIDDEN)] = -torch.inf
    for b in range(8):
        for t in range(int(taken.lengths[b])):
            p = (logits[b, 6 + t] / 0.7).softmax(-1)
            torch.testing.assert_close(logp[b, t], p[taken.responses[b, t]].log(), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(entropy[b, t], -torch.special.xlogy(p, p).sum(), atol=1e-5, rtol=1e-5)
    assert (logp[~taken.mask] == 0).all()
    assert (entropy[~taken.mask] == 0).all()
    logp.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    model.zero_grad()


def test_trimming_and_taking_rows_change_nothing_that_counts(model, asked):
    taken = draw(model, asked).take(torch.arange(5))
    a, b = logprobs(model, taken)[0].sum(1), logprobs(model, taken.trim())[0].sum(1)
    torch.testing.assert_close(a, b)
    assert torch.equal(taken.trim().mask.sum(1), taken.lengths)


def test_samples_follow_the_model(model, asked):
    many = asked[:1].repeat(20_000, 1)
    taken = draw(model, many, max_new=1)
    expected = distributions(model, taken.take(torch.arange(1)))[0, 0].exp().detach().numpy()
    counts = np.bincount(taken.responses[:, 0].numpy(), minlength=SIZE) / 20_000
    np.testing.assert_allclose(counts, expected, atol=0.015)  # four standard deviations


def test_a_tail_can_be_cut_off_and_greedy_takes_the_likeliest(model, asked):
    many = asked[:1].repeat(4000, 1)
    shares = distributions(model, draw(model, many, max_new=1).take(torch.arange(1)))[0, 0].exp()
    ordered = shares.sort(descending=True)
    nucleus = ordered.indices[: int((ordered.values.cumsum(0) < 0.5).sum()) + 1]
    assert set(draw(model, many, max_new=1, top_p=0.5).responses[:, 0].tolist()) == set(nucleus.tolist())
    likely = (shares >= 0.5 * shares.max()).nonzero().flatten()
    assert set(draw(model, many, max_new=1, min_p=0.5).responses[:, 0].tolist()) == set(likely.tolist())
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    best = rollout(model, many[:2], max_new=1, temperature=1.0, generator=generator, greedy=True)
    assert best.responses[:, 0].tolist() == [int(shares.argmax())] * 2
    assert (generator.get_state() == state).all()


def test_a_teachers_responses_become_a_rollout():
    rng = np.random.default_rng(0)
    prompts = chain.sample(rng, 10)
    rows = chain.teacher(rng, prompts, "long")
    taken = as_rollout(torch.from_numpy(prompts.tokens), torch.from_numpy(padded(rows, 40)))
    assert taken.lengths.tolist() == [len(row) for row in rows]
    assert not taken.truncated.any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_new": 0}, "max_new.* at least 1 token; got 0"),
        ({"max_new": 43}, "context is 48 tokens: after a prompt of 7 a response can have at most 42; max_new is 43"),
        ({"temperature": 0.0}, "temperature.* above 0; got 0.0"),
        ({"temperature": float("nan")}, "temperature.* above 0; got nan"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1; got 0.0"),
        ({"min_p": 1.5}, "min_p must be from 0 to 1; got 1.5"),
        ({"forbidden": (30,)}, "forbidden tokens must be some of 0 to 29"),
        ({"forbidden": tuple(range(30))}, "not all"),
    ],
)
def test_bad_options_get_a_sentence(model, asked, options, sentence):
    with pytest.raises(InvalidValue, match=sentence):
        draw(model, asked, **options)


def test_bad_prompts_and_temperatures_get_one_too(model, asked):
    with pytest.raises(InvalidValue, match=r"int64 tokens \(B, P\), at least one row; got torch.int64 \(7,\)"):
        draw(model, asked[0])
    with pytest.raises(InvalidValue, match="at least one row"):
        draw(model, asked[:0])
    with pytest.raises(InvalidValue, match="temperature"):
        logprobs(model, draw(model, asked, max_new=2), -1.0)


def test_broken_weights_say_where(model, asked):
    broken = Decoder("xs")
    broken.load_state_dict(model.state_dict())
    with torch.no_grad():
        broken.head.bias[3] = float("nan")
    with pytest.raises(InvalidValue, match="logits are not finite at token 1 of response 0"):
        draw(broken, asked)
