"""Heads on frozen encoders as a plain loop: all models train side by side, and what is shown is their mix."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.cards.protocols import SessionProtocol
from workbench.data import order
from workbench.methods.imbalance.foundation_bias import backdoor, prior
from workbench.methods.imbalance.foundation_bias.encoder import foundation
from workbench.methods.imbalance.foundation_bias.heads import Heads
from workbench.methods.imbalance.foundation_bias.knobs import FoundationBias
from workbench.methods.imbalance.foundation_bias.objective import objective
from workbench.methods.imbalance.foundation_bias.tails import Pictures, looks
from workbench.models.optim import make_optimizer
from workbench.per_class import PerClass, confusion
from workbench.signals import emit

GRID = np.array([(i, j, 10 - i - j) for i in range(11) for j in range(11 - i)]) / 10  # mixes of three models


class Experiment:
    """Encoders and their features are functions of the seed and the launch settings; the heads alone train."""

    def __init__(self, config: FoundationBias, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.pictures = p = Pictures(config, session)
        *models, even = [foundation(config, p, k, print) for k in (*range(config.n_confounders), -1)]
        backdoor.same_classes([p.classes, *(m.classes for m in models)])
        encoders = [m.encoder for m in models]
        with torch.no_grad():
            z = even.encoder.head(even.encoder.features(p.test.floats))
        self.even = _accuracies(z, p.test.y)
        self.train_x = torch.stack([e.features(p.train.floats) for e in encoders])
        shifted = [torch.stack([e.features(x) for e in encoders]) for x in looks(p.test.floats, config.crops)]
        self.test_x = torch.stack(shifted, 2).flatten(1, 2)  # (K, N * crops, d)
        self.train_y, self.test_y = torch.from_numpy(p.train.y), p.test.y
        self.counts = torch.from_numpy(p.downstream.counts).float()
        self.priors = torch.stack([prior.checked(torch.from_numpy(t.prior)) for t in p.pretraining[:-1]]).float()
        held_y, self.estimates, self.zero_shot = torch.from_numpy(p.validation.y), self.priors.clone(), []
        for k, e in enumerate(encoders):
            with torch.no_grad():
                z = e.head(e.features(p.validation.floats))
                tested = e.head(e.features(p.test.floats))
            self.estimates[k] = q = prior.estimate(z, held_y)
            self.zero_shot.append([_right(tested - shift, self.test_y) for shift in (torch.zeros(()), q.log())])
        means = torch.stack([self.train_x[:, self.train_y == c].mean(1) for c in range(len(p.classes))], 1)
        self.heads = Heads(means, config.adapter_dim, session.torch_rng("init", "heads"))
        self.optimizer = make_optimizer(config.optimizer, self.heads.parameters())
        self.report = PerClass(p.classes, p.downstream.counts)
        self.per_epoch = len(self.train_y) // config.batch_size
        session.register(model=self.heads, optimizer=self.optimizer)
        session.probe("evaluate", self.evaluate)
        session.probe("mix_map", self.map_mixes)

    def step(self, step: int) -> None:
        """One batch for every model; behind the last one everything is looked at."""
        c = self.config
        epoch, place = divmod(step, self.per_epoch)
        if not place:
            self.session.stage("epoch", epoch)
        shuffled = self.session.rng("data", epoch).permutation(len(self.train_y))
        rows = torch.from_numpy(next(order.batches(shuffled, c.batch_size, place * c.batch_size)))
        target = self.train_y[rows]
        logits = self.heads(self.train_x[:, rows])
        each = [objective(c, z, target, self.counts, p) for z, p in zip(logits, self.priors, strict=True)]
        loss = torch.stack(each).sum()  # each model's gradient is its own
        self.optimizer.zero_grad()
        loss.backward()
        rate = c.optimizer.lr * (1 + math.cos(math.pi * step / c.steps)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        emit("loss", loss / len(each))
        emit("lr", rate)
        emit("tau", c.tau)
        if step == c.steps - 1:
            with self.session.isolated():
                self.evaluate()
                self.map_mixes()

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def answers(self) -> Tensor:
        """Logits (K, N * crops, C) on the test pictures, each model's prior taken away if that is asked for."""
        c, logits = self.config, self.heads(self.test_x)
        if c.subtract != "nothing":
            taken = self.estimates if c.subtract == "estimate" else self.priors
            logits = logits - c.strength * taken.log()[:, None]
        return logits

    def _mixed(self, logits: Tensor, weights: tuple[float, ...]) -> Tensor:
        return backdoor.adjust(logits, torch.tensor(weights), mix=self.config.mix, crops=self.config.crops)

    def evaluate(self) -> None:
        """The mix and each model on the test pictures; the session calls it isolated."""
        c, p, logits = self.config, self.pictures, self.answers()
        found = self.report.emit(self._mixed(logits, c.weights).argmax(1), self.test_y)
        each = np.empty(len(p.classes))
        each[self.report.order] = found["acc_per_class"]
        mine, down = p.pretraining[0].order, p.downstream.order
        emit("acc_by_pretraining", each[mine])
        emit("acc_PxD", grid(each, mine, down))
        emit("gap_P", gap(each, mine))
        emit("gap_D", gap(each, down))
        emit("bias_P", gap(each - self.even, mine))
        emit("bias_D", gap(each - self.even, down))
        emit("acc_even", self.even[mine])
        alone = [self._mixed(logits, tuple(float(i == k) for i in range(len(logits)))) for k in range(len(logits))]
        apart = [_accuracies(z, self.test_y) for z in alone]
        emit("balanced_models", np.array([a.mean() for a in apart]))
        emit(
            "bias_P_models", np.array([gap(a - self.even, t.order) for a, t in zip(apart, p.pretraining, strict=False)])
        )
        emit("bias_D_models", np.array([gap(a - self.even, down) for a in apart]))
        emit("best_single", max(a.mean() for a in apart))
        emit("weights", np.array(c.weights))
        emit("log_prior_true", self.priors[0].log().numpy()[mine])
        emit("log_prior_hat", self.estimates[0].log().numpy()[mine])
        emit("prior_error", 50 * (self.priors - self.estimates).abs().sum(1).numpy())
        emit("zero_shot", np.array([z for z, _ in self.zero_shot]))
        emit("zero_shot_adjusted", np.array([z for _, z in self.zero_shot]))

    def map_mixes(self) -> None:
        """Balanced accuracy of every mix of three models; the session calls it isolated."""
        logits = self.answers()
        if len(logits) == 3:
            rows = [(*w, _right(self._mixed(logits, tuple(w)), self.test_y)) for w in GRID.tolist()]
            emit("mix_map", np.array(rows))


def _accuracies(scores: Tensor, truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) per cent right of each class."""
    table = confusion(scores.numpy(), truth, scores.shape[1])
    return 100 * np.diag(table) / table.sum(1)


def _right(scores: Tensor, truth: NDArray[np.int64]) -> float:
    return float(_accuracies(scores, truth).mean())


def gap(each: NDArray[np.float64], ranked: NDArray[np.int64]) -> float:
    """Mean accuracy of the most frequent third of the classes minus that of the rarest, in percentage points.

    `each` (C,) by label, `ranked` (C,) the labels from the most frequent to the rarest; a third of 10 is 3.
    """
    third = max(len(ranked) // 3, 1)
    return float(each[ranked[:third]].mean() - each[ranked[-third:]].mean())


def grid(each: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """(3, 3) mean accuracy of the classes in a third of one order (row) and of another (column); -1: no class.

    Arguments as for `gap`.
    """
    found = np.full((3, 3), -1.0)
    for i, row in enumerate(np.array_split(first, 3)):
        for j, column in enumerate(np.array_split(second, 3)):
            if (both := np.intersect1d(row, column)).size:
                found[i, j] = each[both].mean()
    return found


def train(config: FoundationBias, session: SessionProtocol) -> None:
    """Train the heads of all models for the run's steps."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
