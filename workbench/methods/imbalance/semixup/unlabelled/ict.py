"""ICT: a mixed picture is answered by the mix of the answers (Verma et al. 2019); here the network is its own teacher.

The original's teacher is a moving average of the weights; without it the target is the present network's, held still.
"""

from __future__ import annotations

from workbench.methods.imbalance.semixup.losses import Terms, distance
from workbench.methods.imbalance.semixup.seen import Seen


def terms(seen: Seen) -> Terms:
    """`coef_mixup` times the distance to the mixed probabilities."""
    c = seen.config
    target = seen.mixed(seen.network(seen.x).softmax(1)).detach()
    return Terms(mixup=c.coef_mixup * distance(seen.network(seen.out), target.clamp_min(1e-12).log(), c.distance))
