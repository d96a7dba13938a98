"""Semixup: consistent on the data manifold, off it, and between the two (Nguyen et al. 2020)."""

from __future__ import annotations

from workbench.methods.imbalance.semixup import losses
from workbench.methods.imbalance.semixup.losses import Terms
from workbench.methods.imbalance.semixup.seen import Seen


def terms(seen: Seen) -> Terms:
    """All four terms; the interpolation's target mixes logits."""
    c, logits = seen.config, seen.network(seen.x)
    return losses.semixup(
        seen.network(seen.out), seen.mixed(logits), seen.network(seen.augmented), logits, coef_cons=c.coef_cons,
        coef_mixup=c.coef_mixup, coef_cons_mixup=c.coef_cons_mixup, kind=c.distance, stop_gradient=c.stop_gradient,
    )  # fmt: skip
