"""What weights estimate of fixed predictors, and how well a recommender ranks evenly drawn films. NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.methods.imbalance.kernel_balancing.world import World

Array = NDArray[np.float64]
TOP = 5


def estimated_risks(world: World, weights: Array) -> dict[str, float]:
    """Weighted mean squared error over the rated pairs of each fixed predictor (weights sum to their number)."""
    likes = world.likes.ravel()[world.observed]
    return {
        name: float(np.mean(weights * (p.ravel()[world.observed] - likes) ** 2)) for name, p in world.predictors.items()
    }


def ranking(world: World, scores: Array) -> dict[str, float]:
    """AUC over all evenly drawn pairs, and NDCG@5 and Recall@5 within each person's, mean over people who like one."""
    from sklearn.metrics import roc_auc_score

    likes, guess = world.likes.ravel()[world.test], scores.ravel()[world.test]
    return {"auc": float(roc_auc_score(likes, guess)), **top(likes.reshape(world.users, -1), guess)}


def top(likes: Array, scores: Array, k: int = TOP) -> dict[str, float]:
    """NDCG@k and Recall@k for likes (U, T) and scores of the same order; gain 1, discount log2(rank + 1)."""
    scores = scores.reshape(likes.shape)
    own = likes[likes.sum(1) > 0]
    order = np.argsort(-scores[likes.sum(1) > 0], axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(own, order, 1)
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = np.array([discount[: int(min(n, k))].sum() for n in own.sum(1)])
    return {
        f"ndcg_{k}": float(np.mean(hits @ discount / best)),
        f"recall_{k}": float(np.mean(hits.sum(1) / own.sum(1))),
    }


def tiles(rated: Array, rows: int, columns: int) -> Array:
    """(rows, columns) per cent rated, people and films sorted from much to little rated and averaged in tiles."""
    ordered = rated[np.argsort(-rated.sum(1), kind="stable")][:, np.argsort(-rated.sum(0), kind="stable")]
    bands = [np.mean(part, 0) for part in np.array_split(ordered, min(rows, len(ordered)))]
    return 100 * np.array([[part.mean() for part in np.array_split(b, min(columns, len(b)))] for b in bands])


def unseen(world: World) -> Array:
    """(2,) people and films without a single rating."""
    user, item = np.divmod(world.observed, world.items)
    return np.array([world.users - len(np.unique(user)), world.items - len(np.unique(item))], np.float64)
