"""Weights that balance: entropy balancing in its dual, and what a weighting leaves unbalanced. NumPy and SciPy.

Primal: minimise the divergence sum_i w_i ln(w_i / b_i) of weights that sum to 1 from base weights b, subject to
|sum_i w_i K_ij - target_j| <= slack for each function j (Li et al. 2024, section 4, which keeps the weights of largest
entropy, b = 1; Hainmueller 2012). Dual, in one number a function: minimise
log sum_i b_i exp(-K_i . l) + target . l + slack |l|_1. It is convex, and w is proportional to b exp(-K . l).

Where the rated pairs do not reach everywhere no weights are within the slack, and the dual has no minimum. A small
ridge |l|^2 / 2 in it lets the gap of each function exceed the slack by ridge |l_j|, at a price: then there always is
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from workbench.cards.errors import InvalidValue

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Balanced:
    """Weights (n,) that sum to 1, the dual variables (J,), the gaps (J,) left, and whether all are within the slack."""

    weights: Array
    dual: Array
    gaps: Array
    feasible: bool


def solve(
    K: Array, target: Array, *, base: Array, slack: float, ridge: float = 1e-5, tolerance: float = 1e-4,
    iterations: int = 500,
) -> Balanced:  # fmt: skip
    """Balance functions K (n, J) of the observed to their means `target` (J,) over everything, from `base` (n,).

    `feasible` is False where gaps exceed the slack by more than half. `tolerance` is that of the projected gradient,
    which is in units of the gaps. Raises `InvalidValue` for base weights that are not above 0, a negative slack, or
    shapes that do not fit.
    """
    if K.ndim != 2 or target.shape != K.shape[1:] or base.shape != K.shape[:1]:
        raise InvalidValue(
            f"K must be (n, J), target (J,) and base (n,); got {K.shape}, {target.shape} and {base.shape}."
        )
    if not (np.isfinite(base).all() and (base > 0).all()):
        bad = int(np.flatnonzero(~(base > 0))[0]) if (~(base > 0)).any() else int(np.flatnonzero(~np.isfinite(base))[0])
        raise InvalidValue(f"Base weights must be finite and above 0; that of rating {bad} is {base[bad]:g}.")
    if slack < 0:
        raise InvalidValue(f"The slack must be 0 or more; got {slack:g}.")
    log_base, J = np.log(base / base.sum()), K.shape[1]

    def value(both: Array) -> tuple[float, Array]:
        up, down = both[:J], both[J:]
        dual = up - down
        score = log_base - K @ dual
        total = float(logsumexp(score))
        gap = target - np.exp(score - total) @ K
        slope = gap + ridge * dual
        height = total + float(target @ dual) + slack * float(both.sum()) + ridge / 2 * float(dual @ dual)
        return height, np.concatenate([slope + slack, slack - slope])

    found = minimize(
        value, np.zeros(2 * J), jac=True, method="L-BFGS-B", bounds=[(0, None)] * (2 * J),
        options={"maxiter": iterations, "maxfun": 4 * iterations, "ftol": 1e-5 * tolerance, "gtol": tolerance,
                 "maxcor": 30},
    )  # fmt: skip
    dual = found.x[:J] - found.x[J:]
    score = log_base - K @ dual
    weights = np.exp(score - logsumexp(score))
    left = gaps(K, target, weights)
    return Balanced(weights, dual, left, bool(np.abs(left).max(initial=0.0) <= 1.5 * slack + 1e-6))


def gaps(K: Array, target: Array, weights: Array) -> Array:
    """(J,) mean over everything minus weighted mean over the observed; weights are scaled to sum to 1."""
    return target - (weights / weights.sum()) @ K


def effective_sample_size(weights: Array) -> float:
    """(sum w)^2 / (n sum w^2): the share of the ratings that an even weighting of equal variance would need."""
    return float(weights.sum() ** 2 / (len(weights) * (weights**2).sum()))


def clipped(weights: Array, quantile: float) -> Array:
    """Weights no larger than their own quantile (1: as they are), scaled to sum to 1."""
    cut = np.minimum(weights, np.quantile(weights, quantile)) if quantile < 1 else weights
    return cut / cut.sum()
