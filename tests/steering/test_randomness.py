"""Random streams depend on seed, name and keys alone; isolated code leaves no trace."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from workbench.cards import InvalidValue
from workbench.steering.randomness import (
    Streams,
    global_state,
    restore_global_state,
    seed_everything,
    unnoticed,
)


def test_streams_are_functions_of_seed_and_name():
    a, b = Streams(3), Streams(3)
    b.numpy("init").random(5)  # what one stream draws does not move another
    assert np.array_equal(a.numpy("data").random(4), b.numpy("data").random(4))
    assert not np.array_equal(Streams(3).numpy("data").random(4), Streams(4).numpy("data").random(4))
    assert not np.array_equal(Streams(3).numpy("data").random(4), Streams(3).numpy("eval").random(4))


def test_with_keys_a_stream_starts_afresh_at_each_call():
    s = Streams(0)
    assert np.array_equal(s.numpy("data", 2, 7).random(3), s.numpy("data", 2, 7).random(3))
    assert not np.array_equal(s.numpy("data", 2, 7).random(3), s.numpy("data", 2, 8).random(3))
    assert torch.equal(torch.rand(3, generator=s.torch("data", 1)), torch.rand(3, generator=s.torch("data", 1)))


def test_streams_go_on_from_a_saved_state():
    s = Streams(5)
    s.numpy("method").random(10)
    torch.rand(4, generator=s.torch("method"))
    state = s.state_dict()
    expected = s.numpy("method").random(3), torch.rand(3, generator=s.torch("method"))
    again = Streams(5)
    again.load_state_dict(state)
    assert np.array_equal(again.numpy("method").random(3), expected[0])
    assert torch.equal(torch.rand(3, generator=again.torch("method")), expected[1])


def test_an_unknown_stream_is_refused():
    with pytest.raises(InvalidValue, match="init, data, augment"):
        Streams(0).numpy("noise")


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_global_generators_come_back_as_they_were():
    seed_everything(9)
    draws()
    state = global_state()
    expected = draws()
    draws()
    restore_global_state(state)
    assert draws() == expected


def test_isolated_code_leaves_generators_modes_and_buffers_alone():
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout())
    net[2].eval()
    seed_everything(1)
    expected = draws()
    seed_everything(1)
    before = net[1].running_mean.clone()
    with unnoticed(1, 40, (net,)):
        inside = draws()
        assert not net.training
        net.train()
        net(torch.randn(8, 3))
    assert draws() == expected
    assert torch.equal(net[1].running_mean, before)
    assert (net.training, net[0].training, net[2].training) == (True, True, False)
    with unnoticed(1, 40, ()):
        assert draws() == inside  # and what it draws depends on seed and step alone
