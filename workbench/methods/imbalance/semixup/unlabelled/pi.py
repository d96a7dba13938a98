"""Π-model: a picture and its augmentation are answered alike (Laine and Aila 2017)."""

from __future__ import annotations

from workbench.methods.imbalance.semixup.losses import Terms, distance
from workbench.methods.imbalance.semixup.seen import Seen


def terms(seen: Seen) -> Terms:
    """`coef_cons` times the distance of the two."""
    c, logits = seen.config, seen.network(seen.x)
    return Terms(cons=c.coef_cons * distance(seen.network(seen.augmented), seen.aim(logits), c.distance))
