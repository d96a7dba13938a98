"""IGA: environments are to pull the weights the same way (Koyama and Yamaguchi 2020, eq. 8)."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.methods.imbalance.bonsai.objective import Seen


def penalty(seen: Seen) -> Tensor:
    """Summed squared distance of each environment's gradient from their mean, through which nothing is differentiated.

    Of all weights that are trained; with a frozen featuriser those of the head.
    """
    pulls = torch.stack(
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, seen.trained, create_graph=True)])
            for loss in seen.losses
        ]
    )
    return (pulls - pulls.mean(0).detach()).square().sum()
