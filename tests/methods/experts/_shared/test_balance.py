"""Balancing losses against Megatron-LM's, over groups, accumulation steps and processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from workbench.methods.experts._shared import balance
from workbench.models.moe_gpt import TopK, top_k_routing

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.fixture(params=["lbl_e4k1", "lbl_e8k2"])
def recorded(request):
    """The arrays, and a routing with gradient to its logits (T, E)."""
    arrays = {n: torch.from_numpy(a) for n, a in np.load(GOLDEN / f"{request.param}.npz").items()}
    logits = arrays["logits"].flatten(0, 1).requires_grad_()
    chosen = arrays["topk_idx"].flatten(0, 1)
    probabilities = logits.softmax(-1)
    return arrays, logits, top_k_routing(chosen, probabilities.gather(1, chosen), logits, probabilities, probabilities)


def agrees(loss, logits, value, gradient):
    (found,) = torch.autograd.grad(loss, logits, retain_graph=True)
    torch.testing.assert_close(loss, value, rtol=0, atol=1e-12)
    torch.testing.assert_close(found, gradient.flatten(0, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["micro", "group2", "global"])
def test_the_loss_of_groups_and_its_gradient_are_megatrons(recorded, name):
    arrays, logits, routing = recorded
    batch = len(arrays["logits"])
    groups = {"micro": batch, "group2": batch // 2, "global": 1}[name]
    loss = arrays["alpha"] * balance.load_balancing(routing, groups)
    agrees(loss, logits, arrays[f"lbl_{name}"], arrays[f"grad_{name}"])


def test_each_group_has_its_own_loss_and_counts(recorded):
    arrays, _, routing = recorded
    counts = balance.slots(routing, len(arrays["logits"]))
    assert torch.equal(counts.double(), arrays["counts_per_sequence"])
    found = arrays["alpha"] * balance.grouped(routing.probabilities, counts)
    torch.testing.assert_close(found, arrays["lbl_per_sequence"], rtol=0, atol=1e-12)


def test_global_counts_with_local_probabilities_give_the_global_loss_and_gradient(recorded):
    arrays, logits, routing = recorded
    counts = balance.slots(routing, 1)[0]
    parts = routing.probabilities.view(len(arrays["logits"]), -1, routing.probabilities.shape[-1])
    loss = arrays["alpha"] * torch.stack([balance.grouped(p, counts) for p in parts]).mean()
    agrees(loss, logits, arrays["lbl_global_dp"], arrays["grad_global_dp"])
    agrees(loss, logits, arrays["lbl_global"], arrays["grad_global"])


def test_accumulation_sees_the_load_so_far(recorded):
    arrays, logits, routing = recorded
    batch = len(arrays["logits"])
    steps = arrays["alpha"] * balance.grouped(routing.probabilities, balance.running(balance.slots(routing, batch)))
    torch.testing.assert_close(steps, arrays["lbl_accum_steps"], rtol=0, atol=1e-12)
    loss = arrays["alpha"] * balance.load_balancing(routing, batch, accumulated=True)
    agrees(loss, logits, arrays["lbl_accum_steps"].mean(), arrays["grad_accum_mean"])


def test_the_z_loss_and_its_gradient_are_megatrons(recorded):
    arrays, logits, _ = recorded
    agrees(arrays["zloss_coef"] * balance.z_loss(logits), logits, arrays["zloss"], arrays["grad_zloss"])


def test_all_rows_as_a_subset_are_the_global_loss(recorded):
    _, _, routing = recorded
    every = torch.arange(len(routing.logits))
    torch.testing.assert_close(
        balance.load_balancing(routing, 1, rows=every), balance.load_balancing(routing, 1), rtol=0, atol=1e-14
    )
    some = every[:3]
    counts = torch.bincount(routing.expert[: 3 * routing.chosen.shape[1]], minlength=routing.logits.shape[1])
    own = balance.grouped(routing.probabilities[:3], counts[None]).mean()
    torch.testing.assert_close(balance.load_balancing(routing, 1, rows=some), own, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("rule", "factor"), [("sign", None), ("constant", 1.0), ("inv_n", 1 / 4), ("inv_sqrt_n", 1 / 2)]
)
def test_a_bias_moves_towards_an_even_load(rule, factor):
    counts = torch.tensor([1, 3, 4, 8])
    moved = balance.bias_step(counts, rule=rule, u=0.5, update=4)
    short = torch.tensor([3.0, 1.0, 0.0, -4.0])
    expected = 0.5 * short.sign() if factor is None else 0.5 * factor * short
    torch.testing.assert_close(moved, expected, rtol=0, atol=0)


def step(tokens, groups=1):
    """One step of SGD on a router's balancing loss, in float64: its weights."""
    router = made()
    balance.load_balancing(router(tokens), groups).backward()
    return router


def made():
    torch.manual_seed(0)
    return TopK(6, 4, 2, std=1.0).double()


def given():
    return torch.randn(32, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def of_rank(rank, address, found):
    """A process with half of the tokens; the gradients' mean over processes, then one step."""
    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    router = step(given()[16 * rank : 16 * (rank + 1)])
    dist.all_reduce(router.weight.grad)
    found[rank] = (router.weight - 0.1 * router.weight.grad / 2).detach().numpy()
    dist.destroy_process_group()


def test_two_processes_that_share_their_counts_take_the_step_of_one(tmp_path):
    with mp.Manager() as manager:
        found = manager.dict()
        mp.start_processes(of_rank, (f"file://{tmp_path}/meet", found), nprocs=2, start_method="fork")
        halves = [torch.from_numpy(found[rank]) for rank in range(2)]
    whole = step(given())
    expected = (whole.weight - 0.1 * whole.weight.grad).detach()
    local = step(given(), groups=2)
    for half in halves:
        torch.testing.assert_close(half, expected, rtol=0, atol=1e-10)
    assert (local.weight.grad - whole.weight.grad).abs().max() > 1e-6  # without shared counts it is another one
