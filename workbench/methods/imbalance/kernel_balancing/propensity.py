"""How likely a pair is to be rated: what base weights are one over. NumPy; scikit-learn for the logistic one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue

Array = NDArray[np.float64]


def naive_bayes(labels: Array, unbiased: Array, cells: float) -> Array:
    """(n,) P(rated | label) = P(label | rated) P(rated) / P(label), for observed labels (n,) in {0, 1}.

    P(label) comes from `unbiased` labels of pairs drawn at random (Schnabel et al. 2016, eq. 17); P(rated) = n / cells.
    The released code takes for `cells` the product of the largest user and item index. Raises `InvalidValue` for labels
    other than 0 and 1, or unbiased labels of one kind alone.
    """
    check(labels)
    check(unbiased)
    rated = len(labels) / cells
    like, likes = float(labels.mean()), float(unbiased.mean())
    if not 0 < likes < 1:
        raise InvalidValue("The unbiased labels are all alike; draw more of them, so that both labels are there.")
    found: Array = np.where(labels == 1, like * rated / likes, (1 - like) * rated / (1 - likes))
    return found


def logistic(features: Array, observed: NDArray[np.bool_]) -> Array:
    """(N,) probability to be rated, by cross-entropy on features (N, d) of all pairs: what one would usually fit."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e4, max_iter=500).fit(features, observed)
    return np.asarray(model.predict_proba(features)[:, 1], np.float64)


def inverse(propensity: Array) -> Array:
    """1 / p. Raises `InvalidValue` for a propensity that is not above 0."""
    if not (propensity > 0).all():
        bad = int(np.flatnonzero(~(propensity > 0))[0])
        raise InvalidValue(
            f"A propensity must lie above 0: pair {bad} has {propensity[bad]:g}, so that no weight can stand for it."
        )
    return 1 / propensity


def check(labels: Array) -> None:
    """Refuse what is not 0 or 1."""
    if labels.size and not np.isin(labels, (0, 1)).all():
        strange = labels[~np.isin(labels, (0, 1))][0]
        raise InvalidValue(f"Labels must be 0 (not liked) or 1 (liked) after the ratings were cut; found {strange:g}.")
