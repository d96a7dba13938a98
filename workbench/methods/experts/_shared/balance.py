"""Load-balancing losses over groups of tokens, from one sequence to the whole batch, and the router's z-loss.

Convention: an expert's load is its share of the slots, so that all loads add up to 1 and a balanced loss is 1, up to
E/K when all tokens share the same K experts. (Hugging Face's and UniMoE's loads add up to K; AdaMoE takes a mean over
experts in place of E times a sum.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.models.moe_gpt import Routing


def slots(routing: Routing, groups: int, tokens: int | None = None) -> Tensor:
    """Routed slots of each expert in each of `groups` equal stretches of the tokens, (G, E) int64, without gradient."""
    experts = routing.logits.shape[-1]
    of_group = routing.token // ((tokens or routing.logits.shape[0]) // groups)
    return torch.bincount(of_group * experts + routing.expert, minlength=groups * experts).view(groups, experts)


def grouped(probabilities: Tensor, counts: Tensor) -> Tensor:
    """The loss of each group, E Σ_e f_e P_e with f from `counts`, (G,).

    Args:
        probabilities: of the router, (T, E), G equal stretches.
        counts: slots of each expert, (G, E), or (E,) where all groups share one load (global balancing in data
            parallel training: Demons in the Detail, Qiu et al. 2025; Megatron-LM `_apply_global_aux_loss`).
    """
    groups = counts.shape[0] if counts.dim() == 2 else 1
    mean = probabilities.view(groups, -1, probabilities.shape[-1]).mean(1)
    load = counts.to(mean) / counts.sum(-1, keepdim=True).clamp_min(1)
    return mean.shape[-1] * (load * mean).sum(-1)


def running(counts: Tensor) -> Tensor:
    """For each group the counts of all groups up to it, (G, E): what gradient accumulation knows at its j-th step.

    As in Megatron-LM, where the mean of the counts since the last optimiser step takes the place of the global one.
    """
    return counts.cumsum(0)


def everywhere(counts: Tensor) -> Tensor:
    """Counts added over all processes of data parallel training; the same where there is one."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        counts = counts.clone()
        torch.distributed.all_reduce(counts)
    return counts


def load_balancing(routing: Routing, groups: int, *, accumulated: bool = False, rows: Tensor | None = None) -> Tensor:
    """Mean over `groups` equal stretches of tokens of their loss; one group: the batch of all processes.

    Args:
        groups: how many; 1 is global-batch balancing, one a sequence is the usual micro-batch loss at its extreme.
        accumulated: group j sees the load of groups 0 … j, as under gradient accumulation.
        rows: tokens (n,) to take load and probabilities from, in place of all; then there is one group.
    """
    if rows is not None:
        taken = torch.zeros(routing.logits.shape[0], dtype=torch.bool, device=rows.device).index_fill(0, rows, True)
        of_taken = routing.expert[taken[routing.token]]
        counts = torch.bincount(of_taken, minlength=routing.logits.shape[-1])
        return grouped(routing.probabilities[rows], counts[None]).mean()
    counts = slots(routing, groups)
    if groups == 1:
        counts = everywhere(counts)
    return grouped(routing.probabilities, running(counts) if accumulated else counts).mean()


def z_loss(logits: Tensor) -> Tensor:
    """Mean squared log-sum-exp of router logits (T, E), which keeps them small (ST-MoE, Zoph et al. 2022)."""
    return logits.logsumexp(-1).square().mean()


def bias_step(counts: Tensor, *, rule: str, u: float, update: int) -> Tensor:
    """By how much each expert's selection bias moves, (E,) floats, towards the mean of its `counts` (E,).

    Auxiliary-loss-free balancing (Wang et al. 2024; as a primal-dual method, arXiv 2512.03915): p += ε (mean − count).
    `rule`: ``sign`` moves by ±u; ``constant`` by u times the difference; ``inv_n`` and ``inv_sqrt_n`` by that over n or
    √n. `update`: n, from 1. Differences are counts of tokens: choose u near 1/T, T tokens a step.
    """
    load = counts.to(torch.promote_types(counts.dtype, torch.float32))
    short = load.mean() - load
    if rule == "sign":
        return u * short.sign()
    return {"constant": 1.0, "inv_n": 1 / update, "inv_sqrt_n": update**-0.5}[rule] * u * short
