"""Which prompts are worth a step: pass rates, the band they must lie in, and what a prompt can teach. NumPy."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.cards.errors import InvalidValue

Floats = NDArray[np.float64]
_EXACT = 1e-9  # a rate of 3/10 lies inside a band that begins at .3


@dataclass(frozen=True)
class Band:
    """Pass rates from `low` to `high`, both included. Raises `InvalidValue` unless 0 <= low <= high <= 1."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise InvalidValue(
                f"The band of pass rates must have 0 <= t_low <= t_high <= 1; got {self.low:g} to {self.high:g}."
            )

    def holds(self, rates: ArrayLike) -> NDArray[np.bool_]:
        """Whether each rate lies inside."""
        found = np.asarray(rates, dtype=np.float64)
        return (found >= self.low - _EXACT) & (found <= self.high + _EXACT)


EVERYTHING = Band(0.0, 1.0)


def pass_rates(rewards: ArrayLike) -> Floats:
    """(N,) share of right responses to each prompt, from rewards (N, G).

    Rewards other than 0 and 1 have no pass rate. They are scaled to 0 to 1 by the lowest and the highest of all, and a
    prompt gets the rate whose p (1 - p) is its rewards' variance (not Bessel's), on its mean's side of one half; a
    warning says so. Raises `InvalidValue` for a single response, which has no variance, or for rewards that are not
    (N, G) or not finite.
    """
    rows = np.asarray(rewards, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise InvalidValue(f"The rewards must be (N, G), a row for each prompt; got {rows.shape}.")
    if rows.shape[1] < 2:
        raise InvalidValue("A pass rate needs at least 2 responses a prompt; with 1 the rewards have no variance.")
    if not np.isfinite(rows).all():
        raise InvalidValue("The rewards hold numbers that are not finite: the verifier is broken.")
    if np.isin(rows, (0.0, 1.0)).all():
        return rows.mean(1)
    warnings.warn(
        "Rewards other than 0 and 1: the filter goes by their variance, scaled by the lowest and the highest reward.",
        stacklevel=2,
    )
    low, high = rows.min(), rows.max()
    scaled = (rows - low) / (high - low) if high > low else np.zeros_like(rows)
    away = np.sqrt(np.clip(0.25 - scaled.var(1), 0, None))
    return np.where(scaled.mean(1) < 0.5, 0.5 - away, 0.5 + away)


# -- what a prompt can teach ------------------------------------------------------------------------------------------


def reach(rates: ArrayLike, beta: float) -> Floats:
    """KL from the policy to the best one, nats: log(1 - p + p exp(1/beta)) - p/beta, for pass rates of any shape.

    Raises `InvalidValue` for a beta that is not positive or a rate outside 0 to 1.
    """
    p = _checked(rates, beta)
    with np.errstate(divide="ignore"):
        best = np.logaddexp(np.log1p(-p), np.log(p) + 1 / beta)
    return np.maximum(best - p / beta, 0.0)


def quadratic(rates: ArrayLike, beta: float) -> Floats:
    """The same to second order in 1/beta: p (1 - p) / (2 beta²). Off by about |1 - 2p| / (3 beta) of it."""
    p = _checked(rates, beta)
    return p * (1 - p) / (2 * beta**2)


def best_rate(beta: float) -> float:
    """The pass rate of largest `reach`, beta - 1 / (exp(1/beta) - 1): one half for large beta, below it otherwise."""
    _checked(0.5, beta)
    return float(beta - 1 / np.expm1(1 / beta))


def _checked(rates: ArrayLike, beta: float) -> Floats:
    p = np.asarray(rates, dtype=np.float64)
    if not 0 < beta < np.inf:
        raise InvalidValue(f"beta, the weight of the KL, must be a number above 0; got {beta}.")
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise InvalidValue("Pass rates must be from 0 to 1.")
    return p
