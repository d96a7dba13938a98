"""The average, adapters, grouping and the stream: what they keep, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from workbench.cards.errors import InvalidValue
from workbench.methods.continual.coin import backbone, questions
from workbench.methods.continual.coin.claims import small_tensors_fall_back
from workbench.methods.continual.coin.dema import DynamicEma, coefficient
from workbench.methods.continual.coin.grouping import Groups, check, mean_similarity
from workbench.methods.continual.coin.lora import Bank, adapter, apply_lora, layers, put, using
from workbench.methods.continual.coin.stream import Stream


def model(rank: int = 2) -> nn.Module:
    made = apply_lora(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), rank, 4.0)
    for i, layer in enumerate(layers(made)):
        layer.reset(torch.Generator().manual_seed(i))
    return made


def test_an_adapter_changes_nothing_at_first_and_trains_alone():
    x, base = torch.randn(5, 4), nn.Linear(4, 3)
    expected = base(x).detach()
    adapted = apply_lora(nn.Sequential(base), 2, 4.0)
    layers(adapted)[0].reset(torch.Generator().manual_seed(0))
    torch.testing.assert_close(adapted(x), expected)
    assert {n for n, p in adapted.named_parameters() if p.requires_grad} == {"0.A", "0.B"}


def test_other_weights_hold_inside_the_block_alone_even_if_it_fails():
    made = model()
    before = {n: t.detach().clone() for n, t in adapter(made).items()}
    with pytest.raises(RuntimeError), using(made, {"1.B": torch.ones(3, 2)}):
        assert (adapter(made)["1.B"] == 1).all()
        raise RuntimeError
    assert all(torch.equal(before[n], t) for n, t in adapter(made).items())


def test_an_adapter_of_another_rank_is_not_reused():
    bank = Bank()
    bank.keep(0, adapter(model(rank=3)))
    with pytest.raises(InvalidValue, match=r"adapter 1\.A to be reused is \(3, 4\), the model's \(2, 4\)"):
        put(model(rank=2), bank.kept[0])


def test_a_model_without_linear_layers_or_adapters_is_refused():
    with pytest.raises(InvalidValue, match=r"no nn\.Linear"):
        apply_lora(nn.Sequential(nn.ReLU()), 2, 4.0)
    with pytest.raises(InvalidValue, match="no trainable adapters"):
        DynamicEma(adapter(nn.Linear(2, 2)))


def test_a_tensor_without_gradient_is_named_and_stands_still():
    tensors = {"a": torch.ones(2, requires_grad=True), "b": torch.ones(2, requires_grad=True)}
    ema = DynamicEma(tensors)
    for p in tensors.values():
        p.grad = torch.ones(2)
    ema.update()
    tensors["b"].grad = None
    with torch.no_grad():
        tensors["a"] += 1
        tensors["b"] += 1
    moved = ema.update(decay=0.5)
    assert moved.skipped == ("b",)
    assert ema.average["a"].tolist() == [1.5, 1.5]
    assert ema.average["b"].tolist() == [1.0, 1.0]


def test_after_the_replacement_weights_and_average_do_not_share_memory():
    tensors = {"a": torch.ones(2, requires_grad=True)}
    tensors["a"].grad = torch.ones(2)
    ema = DynamicEma(tensors)
    ema.update()
    ema.replace()
    with torch.no_grad():
        tensors["a"] += 1
    assert ema.average["a"].tolist() == [1.0, 1.0]


def test_a_restored_average_goes_on_to_the_same_bits():
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(9, 2, 6, generator=generator)

    def advance(ema: DynamicEma, rows: range) -> None:
        for row in rows:
            ema.tensors["a"].grad = 5 * draws[row, 0]
            with torch.no_grad():
                ema.tensors["a"].copy_(draws[row, 1])
            ema.update(factor=0.5)

    first, second = (DynamicEma({"a": torch.zeros(6, requires_grad=True)}) for _ in range(2))
    advance(first, range(5))
    second.load_state_dict(first.state_dict())
    for ema in (first, second):
        advance(ema, range(5, 9))
    assert torch.equal(first.average["a"], second.average["a"])


@pytest.mark.parametrize("norms", [(0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.0)])
def test_nothing_to_divide_by_is_infinite_so_that_the_fallback_runs(norms):
    assert coefficient(norms) == float("inf")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_small_tensors_fall_back(seed):
    assert small_tensors_fall_back(seed) is True


def test_groups_join_at_the_threshold_open_below_it_and_route_to_the_newest_otherwise():
    shoes, hats = ["Sort the red shoes."], ["Count blue hats."]
    groups = Groups()
    assert groups.nearest(shoes, 0.0) is None
    assert groups.assign(None, shoes) == 0
    assert groups.nearest(["Sort the red shoes."], 0.9) == 0
    assert groups.nearest(hats, 0.1) is None
    groups.assign(None, hats)
    assert not groups.reused
    assert groups.route(["Describe something unheard."], 0.5) == 1
    groups.assign(0, ["Sort the red shoes.", "Sort red shoes now."])
    assert groups.reused
    assert groups.books[0] == ["Sort the red shoes.", "Sort red shoes now."]
    with pytest.raises(InvalidValue, match=r"between 0 and 1; got 1\.5"):
        groups.nearest(hats, 1.5)


def test_an_instruction_of_stop_words_is_refused_by_name():
    with pytest.raises(InvalidValue, match="'What is this' consists of stop words only"):
        check("What is this")
    with pytest.raises(InvalidValue, match="stop words"):
        mean_similarity(["Sort shoes."], ["Is it the"])


def test_every_question_has_an_answer_for_each_class_and_wordings_that_count():
    for tasks in questions.SETS.values():
        assert len(tasks) == questions.TASKS
        for question in tasks:
            assert len(question.answers) == 10
            for wording in question.wordings:
                check(wording)


def test_a_batch_is_a_function_of_task_and_position():
    def rng(*keys):
        return np.random.default_rng(abs(hash(keys)) % 2**32)

    tasks = questions.choose("questions", 3)
    vectors = questions.embed(tasks, np.random.default_rng(0))
    images = np.arange(50 * 784, dtype=np.float32).reshape(50, 784)

    def stream() -> Stream:
        return Stream(tasks, vectors, images, np.arange(50) % 10, rng)

    first, second = stream(), stream()
    first.begin(20)
    for _ in range(7):
        first.next(8)
    second.load_state_dict(first.state_dict())
    for a, b in zip(first.next(8), second.next(8), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pretraining_lowers_the_reconstruction_error_and_leaves_the_head_and_the_instructions_columns():
    generator = torch.Generator().manual_seed(0)
    network = backbone.random_mlp(800, generator)
    head, words = network[-1].weight.clone(), network[0].weight[:, 784:].clone()
    pixels = network[0].weight[:, :784].clone()
    backbone.pretrain(network, torch.rand(300, 784, generator=generator), generator)
    assert torch.equal(network[-1].weight, head)
    assert torch.equal(network[0].weight[:, 784:], words)
    assert not torch.equal(network[0].weight[:, :784], pixels)
