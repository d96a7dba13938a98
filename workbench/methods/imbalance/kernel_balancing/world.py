"""A world in which the truth is known: real films and people, completed likes, and who rates what drawn by a rule.

MovieLens-100k, the most active people and the most rated films. A factor model of who likes what (4 stars or more)
completes the matrix; likes are drawn from it; a pair is rated with a probability that grows with the like itself
(`strength`), with how active the person and how popular the film is, and with the preference. Only what is rated is
trained on. The usual semi-synthetic protocol; which part is real is said in the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.errors import InvalidValue
from workbench.data.sets import movielens_100k

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
LIKED = 4  # stars and more


class Predictor(nn.Module):
    """Logit of a like: bias, a number a user and an item, and a product of vectors."""

    def __init__(self, users: int, items: int, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))
        self.user_bias, self.item_bias = nn.Parameter(torch.zeros(users)), nn.Parameter(torch.zeros(items))
        self.user = nn.Parameter(0.1 * torch.randn(users, dimensions, generator=generator))
        self.item = nn.Parameter(0.1 * torch.randn(items, dimensions, generator=generator))

    def forward(self, pairs: Tensor) -> Tensor:
        """Pairs (n, 2) of user and item to logits (n,)."""
        u, i = pairs[:, 0], pairs[:, 1]
        return self.bias + self.user_bias[u] + self.item_bias[i] + (self.user[u] * self.item[i]).sum(1)

    @torch.no_grad()
    def matrix(self) -> Tensor:
        """Logits (U, I) of all pairs."""
        return self.bias + self.user_bias[:, None] + self.item_bias + self.user @ self.item.T


def fit(
    model: Predictor, pairs: Tensor, labels: Tensor, *, steps: int = 150, lr: float = 0.03, decay: float = 0.1
) -> Predictor:
    """Cross-entropy on all pairs at once, Adam, with a squared penalty on what is not a bias.

    The penalty is the best of 0.02 … 3 on held-out ratings of the 200 people and 300 films (four dimensions: .528).
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(model(pairs), labels)
        loss = loss + decay * sum(p.square().mean() for p in (model.user, model.item))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@dataclass(frozen=True)
class World:
    """All pairs in row order (user * items + item), N = U * I of them.

    Attributes:
        likes: (U, I) 0 or 1, the truth. preference: (U, I) its probability. propensity: (U, I) of being rated.
        observed: (n,) indices of the rated pairs; unbiased, test: indices drawn evenly, whose labels are known too.
        naive: (U, I) logits of a model fitted to an earlier draw of ratings as they came. (Fitted to the same ones it
            would know their labels by heart, and so would features made from it.)
        features: (N, 3) standardized: logit of the naive model, how much the user and the item are rated.
        predictors: fixed predictions (U, I) by name, whose true risk is known.
    """

    users: int
    items: int
    likes: Array
    preference: Array
    propensity: Array
    observed: Indices
    unbiased: Indices
    test: Indices
    naive: Array
    features: Array
    predictors: dict[str, Array]

    def pairs(self, indices: Indices) -> Tensor:
        """(n, 2) user and item."""
        return torch.from_numpy(np.stack(np.divmod(indices, self.items), 1))

    def risks(self) -> dict[str, float]:
        """Squared error of each fixed predictor over all pairs."""
        return {name: float(np.mean((p - self.likes) ** 2)) for name, p in self.predictors.items()}


def build(
    users: int, items: int, strength: float, density: float, rng: np.random.Generator, generator: torch.Generator,
    *, unbiased: float = 0.05, tested: int = 20,
) -> World:  # fmt: skip
    """Draw a world. Raises `InvalidValue` if the data holds fewer people or films than asked."""
    ratings = movielens_100k.DATASET.load()
    for what, asked, there in (("users", users, int(ratings.user.max()) + 1), ("items", items, len(ratings.titles))):
        if asked > there:
            raise InvalidValue(f"{what} must be at most {there}, which MovieLens-100k has; got {asked}.")
    people = np.sort(np.argsort(-np.bincount(ratings.user), kind="stable")[:users])
    films = np.sort(np.argsort(-np.bincount(ratings.item), kind="stable")[:items])
    u = np.searchsorted(people, ratings.user)
    i = np.searchsorted(films, ratings.item)
    own = (people[np.minimum(u, users - 1)] == ratings.user) & (films[np.minimum(i, items - 1)] == ratings.item)
    pairs = torch.from_numpy(np.stack([u[own], i[own]], 1))
    liked = torch.from_numpy((ratings.rating[own] >= LIKED).astype(np.float32))
    completed = fit(Predictor(users, items, 4, generator), pairs, liked).matrix()
    preference = torch.sigmoid(completed).double().numpy()
    likes = (rng.random((users, items)) < preference).astype(np.float64)

    active = _standard(np.log1p(np.bincount(u[own], minlength=users)))[:, None]
    popular = _standard(np.log1p(np.bincount(i[own], minlength=items)))[None]
    score = strength * likes + 0.5 * active + 0.5 * popular + 0.25 * _standard(completed.double().numpy())
    propensity = 1 / (1 + np.exp(-(score + _shift(score, density))))
    rated = rng.random((users, items)) < propensity
    observed = np.flatnonzero(rated)
    even = rng.choice(users * items, max(20, int(unbiased * users * items)), replace=False)
    films_of = rng.permuted(np.tile(np.arange(items), (users, 1)), axis=1)[:, :tested]
    test = (np.arange(users)[:, None] * items + films_of).ravel()

    earlier = np.flatnonzero(rng.random((users, items)) < propensity)
    known = torch.from_numpy(np.stack(np.divmod(earlier, items), 1))
    told = torch.from_numpy(likes.ravel()[earlier].astype(np.float32))
    naive = fit(Predictor(users, items, 4, generator), known, told).matrix().double().numpy()
    rates = (np.log1p(rated.sum(1))[:, None], np.log1p(rated.sum(0))[None])
    features = np.stack([_standard(np.broadcast_to(f, naive.shape)).ravel() for f in (naive, *rates)], 1)
    noise = rng.standard_normal(preference.shape) * (1 - preference) / 2
    predictors = {
        "ones": np.ones_like(preference),
        "constant": np.full_like(preference, likes.ravel()[observed].mean()),
        "rotated": np.roll(preference, 1, axis=1),
        "skewed": np.clip(preference + noise, 0, 1),
        "learned": 1 / (1 + np.exp(-naive)),
        "inverted": 1 - preference,
    }
    return World(users, items, likes, preference, propensity, observed, even, test, naive, features, predictors)


def _standard(values: Array) -> Array:
    spread = values.std()
    found: Array = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return found


def _shift(score: Array, density: float) -> float:
    """What to add so that the mean of the sigmoid is `density`, by bisection."""
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 / (1 + np.exp(-(score + middle)))).mean() < density else (low, middle)
    return (low + high) / 2
