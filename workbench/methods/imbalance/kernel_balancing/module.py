"""A recommender on ratings that are missing not at random, weighted, and judged on pairs drawn evenly: a plain loop."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from workbench.cards.protocols import SessionProtocol
from workbench.methods.imbalance.kernel_balancing import balance, judge
from workbench.methods.imbalance.kernel_balancing.knobs import Balancing
from workbench.methods.imbalance.kernel_balancing.weighting import Weighting
from workbench.methods.imbalance.kernel_balancing.world import Predictor, build
from workbench.models.optim import make_optimizer
from workbench.signals import emit, histogram

TILES = (20, 30)  # of the picture of who rates what
IMPUTATION_RATE = 0.02


class Experiment:
    """Everything that trains; the world is a function of the seed and of launch controls."""

    def __init__(self, config: Balancing, session: SessionProtocol) -> None:
        c = self.config = config
        self.session = session
        self.world = build(
            c.users, c.items, c.mnar_strength, c.density, session.rng("data", "world", 0),
            session.torch_rng("init", "world"),
        )  # fmt: skip
        w = self.world
        self.pairs = w.pairs(w.observed)
        self.labels = torch.from_numpy(w.likes.ravel()[w.observed].astype(np.float32))
        generator = session.torch_rng("init", "model")
        self.model, self.imputation = (Predictor(w.users, w.items, c.dimensions, generator) for _ in range(2))
        self.optimizer = make_optimizer(c.optimizer, self.model.parameters())
        self.imputing = torch.optim.Adam(self.imputation.parameters(), lr=IMPUTATION_RATE)
        self.weighting = Weighting(c, session, w)
        self.true_risks = w.risks()
        session.register(
            model=self.model, optimizer=self.optimizer, imputation=self.imputation, imputing=self.imputing,
            weighting=self.weighting,
        )  # fmt: skip

    def step(self, step: int) -> None:
        """One batch of rated pairs; now and then a look at evenly drawn pairs."""
        c, rng = self.config, self.session.rng("data", "batch", step)
        began = time.perf_counter()
        if self.weighting.refresh(self._errors):
            emit("solve_seconds", time.perf_counter() - began)
        rows = rng.permutation(len(self.pairs))[: c.batch_size]
        self.weighting.step(rows)
        weight = torch.from_numpy(self.weighting.weights[rows]).float()
        loss = self._loss(rows, weight, rng)
        loss = loss + c.penalty * (self.model.user.square().mean() + self.model.item.square().mean())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        emit("loss", loss)
        if step % c.every == 0 or step == c.steps - 1:
            with self.session.isolated(self.model):
                self.look()

    def _loss(self, rows: NDArray[np.int64], weight: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        pairs, labels = self.pairs[rows], self.labels[rows]
        logits = self.model(pairs)
        weighted = F.binary_cross_entropy_with_logits(logits, labels, weight=weight)
        if self.config.estimator == "ips":
            return weighted
        # Doubly robust: errors imputed over all pairs, corrected by weighted differences where the label is known.
        guess = torch.sigmoid(self.imputation(pairs)).detach()
        anywhere = self.world.pairs(rng.integers(0, self.world.users * self.world.items, len(rows)))
        imputed = torch.sigmoid(self.imputation(anywhere)).detach()
        direct = F.binary_cross_entropy_with_logits(self.model(anywhere), imputed)
        loss = direct + weighted - F.binary_cross_entropy_with_logits(logits, guess, weight=weight)
        self._impute(pairs, labels, logits.detach(), weight)
        return loss

    def _impute(self, pairs: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, weight: torch.Tensor) -> None:
        """The imputation model learns the recommender's error where it is known (as the authors' code does)."""
        error = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        guessed = F.binary_cross_entropy_with_logits(self.imputation(pairs), torch.sigmoid(logits), reduction="none")
        loss = (weight * (error - guessed).square()).mean()
        self.imputing.zero_grad()
        loss.backward()
        self.imputing.step()

    def _errors(self) -> NDArray[np.float64]:
        """(n,) cross-entropy of the recommender on each rated pair."""
        with torch.no_grad():
            error = F.binary_cross_entropy_with_logits(self.model(self.pairs), self.labels, reduction="none")
        return error.double().numpy()

    def look(self) -> None:
        """What the weights balance, what they estimate, and how good the recommender is on evenly drawn pairs."""
        w, weighting = self.world, self.weighting
        gaps = np.abs(weighting.gaps())
        emit("balance_gap", np.sort(gaps)[::-1])
        emit("balance_gap_base", np.sort(np.abs(weighting.gaps(weighting.base)))[::-1])
        emit("max_balance_gap", gaps.max())
        emit("audit_gap", weighting.audit())
        emit("balanced", float(weighting.feasible))
        emit("effective_sample_size", balance.effective_sample_size(weighting.weights))
        emit("weights", histogram(np.log10(weighting.weights), -3, 2, 50))
        estimates = judge.estimated_risks(w, weighting.weights)
        true = np.array([self.true_risks[name] for name in estimates])
        guess = np.array(list(estimates.values()))
        emit("risk_true", true)
        emit("risk_estimate", guess)
        emit("risk_error_each", np.abs(guess - true) / true)
        emit("risk_error", np.mean(np.abs(guess - true) / true))
        probability = torch.sigmoid(self.model.matrix()).double().numpy()
        for name, value in judge.ranking(w, probability).items():
            emit(name, value)
        emit("mean_bias", probability.mean() - w.likes.mean())
        emit("liked_share", [100 * w.likes.ravel()[w.observed].mean(), 100 * w.likes.mean()])
        rated = np.zeros(w.likes.size)
        rated[w.observed] = 1
        emit("exposure", judge.tiles(rated.reshape(w.likes.shape), *TILES))
        emit("without_ratings", judge.unseen(w))


def train(config: Balancing, session: SessionProtocol) -> None:
    """Train for the run's steps."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
