"""V-REx: environments are to have equal losses (Krueger et al. 2021, eq. 8)."""

from __future__ import annotations

from torch import Tensor

from workbench.methods.imbalance.bonsai.objective import Seen


def penalty(seen: Seen) -> Tensor:
    """Variance of the environments' mean losses, n - 1 in its denominator as in the authors' code."""
    return seen.losses.var()
