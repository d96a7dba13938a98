"""Genres of films from who rated them: MovieLens-100k, films with at least 5 ratings.

Features: 64 principal components of the rating matrix (films x people, 0 where there is no rating, each column less its
mean) and the year. So they hold who has seen a film, and not only how it was liked, which says less about genres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.cards.errors import InvalidValue
from workbench.data.sets.movielens_100k import DATASET, Ratings
from workbench.methods.imbalance.comic.knobs import GENRES, Comic
from workbench.methods.imbalance.comic.sample import Source

LEAST, COMPONENTS = 5, 64


def build(config: Comic, rng: np.random.Generator) -> Source:
    """See `sample.source`. Raises `InvalidValue` if fewer than 100 films would be left for the test."""
    ratings = DATASET.load()
    kept = np.bincount(ratings.item, minlength=len(ratings.titles)) >= LEAST
    most = int(kept.sum()) - 100
    if config.train_examples > most:
        raise InvalidValue(
            f"train_examples must be at most {most}, so that 100 of the {most + 100} films are left for the test; got "
            f"{config.train_examples}."
        )
    years = ratings.years[kept].astype(np.float64)
    years[years == 0] = np.median(years[years > 0])
    x = np.column_stack([components(ratings, kept), years])
    y = ratings.genres[kept][:, [ratings.genre_names.index(name) for name in GENRES]]
    order = rng.permutation(len(x))
    train, test = order[: config.train_examples], order[config.train_examples :]
    x = ((x - x[train].mean(0)) / x[train].std(0)).astype(np.float32)
    return Source(x[train], y[train], x[test], y[test], GENRES)


def components(ratings: Ratings, kept: NDArray[np.bool_], number: int = COMPONENTS) -> NDArray[np.float64]:
    """(films, number) principal components of the kept films' ratings, the largest first."""
    matrix = np.zeros((len(kept), int(ratings.user.max()) + 1))
    matrix[ratings.item, ratings.user] = ratings.rating
    matrix = matrix[kept]
    matrix -= matrix.mean(0)
    directions = np.linalg.eigh(matrix.T @ matrix)[1][:, : -number - 1 : -1]
    return matrix @ directions
