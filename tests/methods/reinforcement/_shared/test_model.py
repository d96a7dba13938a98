"""The tiny decoders: as large as said, causal, and the same with and without a cache."""

from __future__ import annotations

import pytest
import torch

from workbench.cards.errors import InvalidValue, UnknownName
from workbench.methods.reinforcement._shared.model import Critic, Decoder
from workbench.methods.reinforcement._shared.vocabulary import SIZE


def decoder(seed: int = 0, size: str = "xs") -> Decoder:
    return Decoder(size, generator=torch.Generator().manual_seed(seed))


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(SIZE, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("size", "parameters"), [("xs", 61_854), ("s", 107_038), ("m", 608_926)])
def test_the_presets_are_as_large_as_said(size, parameters):
    assert sum(p.numel() for p in Decoder(size).parameters()) == parameters
    critic = sum(p.numel() for p in Critic(size).parameters())
    assert critic == parameters - (SIZE - 1) * (Decoder(size).trunk.shape.width + 1)


def test_nothing_is_tied_and_the_trunks_fit_each_other():
    made = decoder()
    assert len({p.data_ptr() for p in made.parameters()}) == len(list(made.parameters()))
    critic = Critic("xs")
    critic.trunk.load_state_dict(made.trunk.state_dict())
    assert critic(tokens(3, 9)).shape == (3, 9)
    assert (critic(tokens(3, 9)) == 0).all()  # the head starts as zero


def test_construction_draws_from_its_generator_alone():
    before = torch.random.get_rng_state()
    one, two, other = decoder(0), decoder(0), decoder(1)
    assert (torch.random.get_rng_state() == before).all()
    assert all((a == b).all() for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)


def test_no_token_sees_a_later_one():
    made, x = decoder(), tokens(2, 12)
    changed = x.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % SIZE
    a, b = made(x), made(changed)
    torch.testing.assert_close(a[:, :7], b[:, :7])
    assert not torch.allclose(a[:, 7:], b[:, 7:])


def test_with_a_cache_one_token_at_a_time_says_the_same():
    made, x = decoder(size="s"), tokens(5, 48)
    for parameter in made.parameters():  # far from the start, where attention is nearly even
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    cache = made.trunk.cache(5)
    parts = [made(x[:, :7], cache), *(made(x[:, t : t + 1], cache) for t in range(7, 48))]
    torch.testing.assert_close(
        torch.cat(parts, 1).log_softmax(-1), made(x).log_softmax(-1), atol=1e-5, rtol=1e-5
    )  # fmt: skip


def test_what_cannot_be_is_refused():
    with pytest.raises(UnknownName, match="no model size 'l'"):
        Decoder("l")
    with pytest.raises(InvalidValue, match="at least 1 token; got 0"):
        Decoder("xs", context=0)
    made = decoder()
    with pytest.raises(InvalidValue, match="context is 48 tokens; prompt and response take 49"):
        made(tokens(1, 49))
    cache = made.trunk.cache(1)
    made(tokens(1, 3), cache)
    with pytest.raises(InvalidValue, match="1 token at a time; got 2"):
        made(tokens(1, 2), cache)
