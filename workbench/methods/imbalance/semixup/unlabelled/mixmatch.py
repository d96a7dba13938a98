"""MixMatch, light: sharpened guesses of labels, mixed as their pictures are (Berthelot et al. 2019).

Light: two looks a picture, and unlabelled pictures are mixed among themselves, not with labelled ones.
"""

from __future__ import annotations

from workbench.methods.imbalance.semixup.losses import Terms, distance
from workbench.methods.imbalance.semixup.seen import Seen

TEMPERATURE = 0.5


def terms(seen: Seen) -> Terms:
    """`coef_mixup` times the distance to the mixed guesses."""
    c = seen.config
    guess = (seen.network(seen.x).softmax(1) + seen.network(seen.augmented).softmax(1)) / 2
    sharp = guess ** (1 / TEMPERATURE)
    target = seen.mixed(sharp / sharp.sum(1, keepdim=True)).detach()
    return Terms(mixup=c.coef_mixup * distance(seen.network(seen.out), target.clamp_min(1e-12).log(), c.distance))
