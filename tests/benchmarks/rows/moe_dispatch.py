"""What sorting slots by expert saves, against a mask an expert and against transformers' Mixtral."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.benchmarks.blocks import Block, interleave, ratios, timed
from tests.benchmarks.figures import Row, of
from workbench.models.moe_gpt import Experts, MoE, TopK

NUMBER = 23
EXPERTS, TOP_K, TOKENS, WIDTH, HIDDEN = 8, 2, 2048, 64, 128


def masked(moe: MoE, x: Tensor) -> Tensor:
    """The same layer by a boolean mask an expert."""
    assert isinstance(moe.router, TopK)
    routing = moe.router(x)
    weight = routing.weight.view(-1, TOP_K)
    out = torch.zeros_like(x)
    for expert in range(moe.experts.number):
        chosen = routing.chosen == expert
        rows = chosen.any(1)
        share = (weight * chosen).sum(1)[rows]
        out[rows] += moe.experts.one(expert, x[rows]) * share[:, None]
    return out


def mixtral(moe: MoE, experts: str) -> nn.Module:
    """transformers' block with the weights of `moe` and one of its ways to go through experts."""
    from transformers.models.mixtral.modeling_mixtral import MixtralConfig, MixtralSparseMoeBlock

    block = MixtralSparseMoeBlock(
        MixtralConfig(
            hidden_size=WIDTH, intermediate_size=HIDDEN, num_local_experts=EXPERTS, num_experts_per_tok=TOP_K,
            experts_implementation=experts,
        )
    )  # fmt: skip
    assert isinstance(moe.router, TopK)
    assert moe.experts.linear is not None
    with torch.no_grad():
        block.gate.weight.copy_(moe.router.weight)
        block.experts.gate_up_proj.copy_(torch.cat([moe.experts.up, moe.experts.linear], 1))
        block.experts.down_proj.copy_(moe.experts.down)
    return block


def measure(quick: bool) -> Row:
    """Forward and backward of one layer, four ways, interleaved; first that all give the same."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    moe = MoE(Experts(EXPERTS, WIDTH, HIDDEN, gated=True, activation="silu"), TopK(WIDTH, EXPERTS, TOP_K, std=0.3))
    eager, grouped, x = mixtral(moe, "eager"), mixtral(moe, "grouped_mm"), torch.randn(TOKENS, WIDTH)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "sorted": lambda x: moe(x)[0],
        "masked": lambda x: masked(moe, x),
        "eager": lambda x: eager(x[None])[0],
        "grouped": lambda x: grouped(x[None])[0],
    }
    for other in ("masked", "eager", "grouped"):
        torch.testing.assert_close(ways[other](x), ways["sorted"](x), rtol=1e-4, atol=1e-5)
    steps, rounds = (3, 2) if quick else (40, 12)

    def go(way: Callable[[Tensor], Tensor], into: list[Block]) -> None:
        with timed(steps, into):
            for _ in range(steps):
                inputs = x.detach().requires_grad_()
                F.mse_loss(way(inputs), x).backward()

    found = interleave({name: lambda into, way=way: go(way, into) for name, way in ways.items()}, rounds)  # type: ignore[misc]
    return Row(
        "Mixture of experts: slots sorted by expert against a mask an expert, and against transformers' Mixtral",
        f"{rounds} interleaved blocks of {steps} forward and backward passes of a layer, {EXPERTS} experts, {TOP_K} a "
        f"token, {TOKENS:,} tokens of width {WIDTH}, gated, hidden {HIDDEN}, one thread; all give the same output.",
        [
            of("sorted over masked, wall", ratios(found, "sorted", "masked"), "×", most=1.0),
            of("sorted over Mixtral with an expert at a time, wall", ratios(found, "sorted", "eager"), "×", most=1.0),
            of("sorted over Mixtral with grouped products, wall", ratios(found, "sorted", "grouped"), "×", most=1.0),
        ],
        [of("one pass, sorted", [1e3 * b.wall for b in found["sorted"]], "ms")],
    )
