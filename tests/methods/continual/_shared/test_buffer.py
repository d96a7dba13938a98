"""The replay buffer keeps a uniform sample of everything seen, and its state is all of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.cards.errors import InvalidValue
from workbench.methods.continual._shared.buffer import Buffer, Items


def items(numbers: range) -> Items:
    values = torch.tensor(list(numbers))
    tasks = values // 100
    return Items(values.to(torch.uint8)[:, None], values, tasks, values[:, None].float().repeat(1, 2))


def test_the_reservoir_is_uniform_over_everything_seen():
    counts = np.zeros(300)
    for seed in range(400):
        buffer = Buffer(30, (1,), 2)
        buffer.add(items(range(300)), np.random.default_rng(seed))
        counts[buffer._labels.numpy()] += 1
    thirds = counts.reshape(3, 100).sum(1) / counts.sum()
    np.testing.assert_allclose(thirds, 1 / 3, atol=0.02)  # 12,000 draws: five standard deviations


def test_the_reservoir_draws_as_the_specification_says():
    buffer, twin = Buffer(4, (1,), 2), np.random.default_rng(5)
    buffer.add(items(range(50)), np.random.default_rng(5))
    slots = list(range(4))
    for n in range(4, 50):
        r = int(twin.integers(0, n, endpoint=True))
        if r < 4:
            slots[r] = n
    assert buffer._labels.tolist() == slots


def test_a_draw_is_without_replacement_and_never_of_empty_slots():
    buffer = Buffer(50, (1,), 2)
    buffer.add(items(range(8)), np.random.default_rng(0))
    assert sorted(buffer.draw(20, np.random.default_rng(1)).labels.tolist()) == list(range(8))
    drawn = buffer.draw(5, np.random.default_rng(2))
    assert len(set(drawn.labels.tolist())) == len(drawn) == 5
    assert drawn.logits is not None
    assert (drawn.logits[:, 0] == drawn.labels).all()


def test_a_ring_gives_every_task_an_equal_part_first_in_first_out():
    buffer = Buffer(30, (1,), 2, rings=3)
    buffer.add(items(range(300)), np.random.default_rng(0))
    assert sorted(buffer._labels.tolist()) == [*range(90, 100), *range(190, 200), *range(290, 300)]
    np.testing.assert_allclose(buffer.shares(3), 1 / 3)


def test_a_restored_buffer_goes_on_as_the_saved_one_does():
    first = Buffer(20, (1,), 2)
    first.add(items(range(60)), np.random.default_rng(0))
    state = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in first.state_dict().items()}
    second = Buffer(20, (1,), 2)
    second.load_state_dict(state)
    for buffer in (first, second):
        buffer.add(items(range(60, 150)), np.random.default_rng(1))
    assert first._labels.tolist() == second._labels.tolist()
    assert (first._logits == second._logits).all()


def test_a_saved_buffer_of_another_size_is_refused():
    with pytest.raises(InvalidValue, match="20 slots, this one 30"):
        Buffer(30, (1,), 2).load_state_dict(Buffer(20, (1,), 2).state_dict())
