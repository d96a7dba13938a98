"""Group distributionally robust optimisation: the mean loss of the worst environment (Sagawa et al. 2020, eq. 4).

As in the authors' code the worst one alone is trained, without the running weights of Sagawa et al.'s algorithm 1.
"""

from __future__ import annotations

from torch import Tensor

from workbench.methods.imbalance.bonsai.objective import Seen


def risk(seen: Seen) -> Tensor:
    """Largest mean loss; of equal ones, the first."""
    return seen.losses[seen.losses.argmax()]
