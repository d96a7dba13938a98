"""The two warm-up regularisers of Fast IBP: bound tightness and ReLU balance.

Both look at the boxes that enter the m ReLU layers; means run over whole tensors, batch included.
Source: Shi et al. 2021 (arXiv 2103.17268), and the authors' regularization.py.

What they cannot do: a layer that exploded contributes 1 - d_0/(tol d), whose gradient in log-width is
d_0/(tol d), about 1e-5 at a gain of 1e5. Tightness holds bounds near 1..100; it does not rescue an explosion.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.methods.certified.ibp.interval import ReluInput


def mean_widths(relus: Sequence[ReluInput]) -> Tensor:
    """(m,) mean half-width of the box entering each ReLU."""
    return torch.stack([r.box.radius.mean() for r in relus])


def tightness(widths: Tensor, input_width: Tensor, tol: float) -> Tensor:
    """mean over layers of relu(tol - d_0 / d_i) / tol, in [0, 1]; silent while every d_i <= d_0 / tol.

    Args: widths (m,) from `mean_widths`; input_width mean half-width of the input box; tol in (0, 1].
    """
    # only layers in force enter the quotient: a width of 0 would send 0 * inf = NaN into the gradient
    active = widths[widths.detach() * tol > input_width]
    return ((tol - input_width / active) / tol).sum() / widths.numel()


def relu_balance(relus: Sequence[ReluInput], tol: float) -> tuple[Tensor, Tensor]:
    """The balance penalty, in [0, 2], and a mask (m,) of the layers that were skipped.

    Per layer r1 = mean(c A) / -mean(c I) and r2 = v_A / v_I over always-active A (l > 0) and never-active I (u < 0)
    neurons, each made min(r, 1/r); penalty (relu(tol - r1) + relu(tol - r2)) / tol, averaged over all m.
    A layer without active or without inactive neurons has no ratio: it is skipped but counted in m. So a layer
    where *every* neuron is unstable gets no penalty. (Where only active neurons are missing the authors' code adds
    the constant 2, whose gradient is zero as well.)
    """
    statistics = []
    for entering in relus:
        c = entering.box.centre.flatten()
        sides = torch.stack((entering.active.flatten(), entering.inactive.flatten()))
        means, spreads = sides @ c / c.numel(), sides @ (c - c.mean()).square()
        statistics.append(torch.stack((means[0], -means[1], spreads[0], spreads[1])))
    table = torch.stack(statistics)
    # Rows without a ratio leave the graph before the division: a NaN that is only masked afterwards still
    # poisons the gradient, because 0 * NaN = NaN.
    usable = ((table.detach() > 0) & table.detach().isfinite()).all(dim=1)
    top, bottom = table[usable][:, [0, 2]], table[usable][:, [1, 3]]
    ratio = top / bottom
    ratio = torch.minimum(ratio, 1 / ratio.clamp_min(1e-12))
    return (torch.relu(tol - ratio) / tol).sum() / table.shape[0], ~usable


def weight(lam: float, eps: float, target: float) -> float:
    """lambda (1 - eps / target): full at the start of the ramp, zero once eps has reached its target."""
    return lam * (1 - eps / target) if target > 0 else 0.0
