"""Growing keeps a function where it says so, to rounding; slices, grouped router and growth equal the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.methods.experts._shared import growing
from workbench.models.moe_gpt import Experts, MoEGPT, Shape, TopK

GOLDEN = Path(__file__).parents[3] / "golden"
SMALL = Shape(vocabulary=50, width=16, heads=2, layers=2, length=12, experts=1, hidden=24, top_k=1)


def golden(name):
    arrays = np.load(GOLDEN / f"{name}.npz")
    return {k: torch.from_numpy(arrays[k]) for k in arrays.files if arrays[k].dtype.kind in "fi"}


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def model(shape, seed=0, **parts):
    torch.manual_seed(seed)
    made = MoEGPT(shape, **parts).double()
    for p in made.parameters():  # norms' weights begin at 1, which would hide how they are mapped
        torch.nn.init.normal_(p, std=0.3)
    return made


TOKENS = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", ["decompose_gated_k2n4", "decompose_k4n2"])
def test_slices_behind_a_grouped_router_are_the_reference_and_the_dense_network(name):
    g = golden(name)
    k, copies = int(g["k"]), int(g["copies"])
    parts = growing.decompose(
        g["w1"], g["w2"], k, copies, linear=g.get("w3"), up_bias=g["b1"], down_bias=g["b2"], activation="gelu"
    )
    router = growing.Summed(g["w1"].shape[1], k * copies, k, total=1).double()
    router.weight.data = growing.grouped_rows(g["centroids"], k)
    close(router.weight.data, g["router"])
    routing = router(g["x"])
    close(routing.logits.detach(), g["logits"])
    assert routing.chosen.sort(-1).values.tolist() == g["selected"].tolist()
    close(routing.weight.detach().view_as(g["weights"]), g["weights"])

    def expert(e, x):
        inner = F.gelu(x @ parts.up[e].T + parts.up_bias[e])
        inner = inner if parts.linear is None else inner * (x @ parts.linear[e].T)
        return inner @ parts.down[e].T + parts.down_bias[e]

    outputs = torch.stack([expert(e, g["x"]) for e in range(k * copies)])
    rows = torch.arange(len(g["x"]))[:, None]
    mixed = k * (g["weights"][..., None] * outputs[routing.chosen, rows]).sum(1)
    close(mixed, g["output_moe"])
    close(mixed, g["output_dense"])


@pytest.mark.parametrize(("init", "gated"), [("grouped", False), ("grouped", True), ("zeros", False)])
def test_a_model_cut_into_experts_computes_what_the_dense_one_did(init, gated):
    k, copies = 4, 3
    dense_shape = replace(SMALL, gated=gated)
    dense = model(dense_shape)
    shape = replace(dense_shape, experts=k * copies, hidden=24 // k, top_k=k)
    mixture = model(shape, 1, router=lambda layer: growing.Summed(16, k * copies, k, total=k))
    growing.carry_over(dense, mixture)
    for old, new in zip(dense.blocks, mixture.blocks, strict=True):
        growing.fill_experts(new.moe.experts, old.moe.experts, k)
        rows = new.moe.router.weight.data
        rows.copy_(growing.grouped_rows(rows[::k], k) if init == "grouped" else torch.zeros_like(rows))
    close(mixture(TOKENS).logits, dense(TOKENS).logits)


def test_a_random_router_over_slices_does_not():
    dense = model(SMALL)
    mixture = model(
        replace(SMALL, experts=8, hidden=6, top_k=4), 1, router=lambda layer: growing.Summed(16, 8, 4, total=4)
    )
    growing.carry_over(dense, mixture)
    for old, new in zip(dense.blocks, mixture.blocks, strict=True):
        growing.fill_experts(new.moe.experts, old.moe.experts, 4)
    assert (mixture(TOKENS).logits - dense(TOKENS).logits).abs().max() > 0.1


def test_equal_experts_behind_any_router_whose_weights_add_up_to_one_compute_the_dense_network():
    dense = model(SMALL)
    mixture = model(replace(SMALL, experts=4, top_k=2), 1, router=lambda layer: TopK(16, 4, 2, std=1.0))
    growing.carry_over(dense, mixture)
    for old, new in zip(dense.blocks, mixture.blocks, strict=True):
        growing.fill_experts(new.moe.experts, old.moe.experts)
    close(mixture(TOKENS).logits, dense(TOKENS).logits)


def test_growth_in_width_is_the_reference():
    g = golden("fpi_a")
    width = growing.Axis(g["map_in"], torch.arange(12) >= 8)
    hidden = growing.Axis(g["map_hidden"], torch.arange(24) >= 16)
    w1, w2 = growing.fpi(g["w1"], hidden, width), growing.fpi(g["w2"], width, hidden)
    close(w1, g["w1_grown"])
    close(w2, g["w2_grown"])
    close(growing.aki(g["w1"], g["next_w1"], hidden, width), g["w1_aki"])
    grown = F.gelu(g["x_grown"] @ w1.T + g["b1"][hidden.source]) @ w2.T + g["b2"][width.source]
    close(grown, g["y_grown"])


def grown(small, factor=2, layers=4, width_rule="fpi", depth_rule="zero_residual"):
    s = small.shape
    sizes = {n: int(getattr(s, n) * factor) for n in ("width", "hidden", "heads")}
    larger = model(replace(s, layers=layers, **sizes), 1)
    generator = torch.Generator().manual_seed(3)
    axes = {n: growing.axis(getattr(s, n), sizes[n], generator) for n in sizes}
    how = growing.Growth(**axes, layers=growing.depth_map(s.layers, layers, depth_rule), width_rule=width_rule,
                         depth_rule=depth_rule)  # fmt: skip
    growing.grow(small, larger, how)
    return larger


@pytest.mark.parametrize("factor", [2, 3])
def test_a_model_grown_by_whole_copies_and_layers_that_add_nothing_keeps_its_function(factor):
    small = model(SMALL)
    close(grown(small, factor)(TOKENS).logits, small(TOKENS).logits)


@pytest.mark.parametrize("changed", [{"factor": 1.5}, {"width_rule": "aki"}, {"width_rule": "random"},
                                     {"depth_rule": "stack"}, {"depth_rule": "interpolate"}])  # fmt: skip
def test_every_other_growth_changes_it(changed):
    small = model(SMALL)
    assert (grown(small, **changed)(TOKENS).logits - small(TOKENS).logits).abs().max() > 0.01


def test_padding_keeps_the_old_matrix_in_the_corner_and_the_rest_as_initialised():
    small = model(SMALL)
    larger = grown(small, width_rule="random", depth_rule="stack")
    initial = model(larger.shape, 1)
    up, old, first = (m.blocks[0].moe.experts.up[0] for m in (larger, small, initial))
    assert torch.equal(up[:24, :16], old)
    assert torch.equal(up[24:], first[24:])
    assert torch.equal(up[:, 16:], first[:, 16:])


def test_layers_are_stacked_or_interpolated():
    assert growing.depth_map(2, 4, "stack") == [0, 1, 0, 1]
    assert growing.depth_map(2, 4, "interpolate") == growing.depth_map(2, 4, "zero_residual") == [0, 0, 1, 1]


def test_a_mean_of_models_is_the_mean_of_their_weights_and_equal_ones_stay():
    first, second = model(SMALL, 0), model(SMALL, 1)
    mean = model(SMALL, 2)
    growing.average([first, second], mean)
    close(mean.blocks[1].attention.qkv.weight,
          (first.blocks[1].attention.qkv.weight + second.blocks[1].attention.qkv.weight) / 2)  # fmt: skip
    growing.average([first, first, first], mean)
    close(mean(TOKENS).logits, first(TOKENS).logits)


def test_cosines_tell_copies_from_others():
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    pairs = growing.cosines(torch.stack([a, 2 * a, b]))
    assert pairs[0, 1].item() == pytest.approx(1, abs=1e-6)
    others = [F.cosine_similarity(a.flatten(), b.flatten(), dim=0).item()] * 2
    assert growing.mean_pair(pairs).item() == pytest.approx((1 + sum(others)) / 3, abs=1e-6)


def test_noise_parts_copies_by_the_share_asked_for():
    experts = Experts(2, 16, 24)
    before = experts.up.detach().clone()
    growing.disturb(experts, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(experts.up, before)
    growing.disturb(experts, 0.1, torch.Generator().manual_seed(0))
    assert (experts.up - before).std().item() == pytest.approx(0.1 * before.std().item(), rel=0.1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: growing.decompose(torch.ones(6, 2), torch.ones(2, 6), 4, 1), "granularity must divide the 6 hidden"),
        (lambda: growing.decompose(torch.ones(6, 2), torch.ones(2, 6), 3, 1, activation="softmax"), "unit by unit"),
        (lambda: growing.axis(8, 6), "at least the old one, 8; got 6"),
        (lambda: growing.depth_map(2, 3, "stack"), "multiple of the first one's 2; got 3"),
        (lambda: growing.average([model(SMALL)], model(SMALL)), "At least two specialists"),
        (lambda: growing.average([model(SMALL), model(replace(SMALL, hidden=12))], model(SMALL)), "one shape"),
    ],
)
def test_what_cannot_be_grown_is_refused_in_a_sentence(call, words):
    with pytest.raises(InvalidValue, match=words):
        call()
