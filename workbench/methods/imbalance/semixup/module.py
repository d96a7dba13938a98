"""Few labelled and many unlabelled pictures as a plain loop: a labelled batch, an unlabelled one, one step on both."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.cards.protocols import SessionProtocol
from workbench.data import order
from workbench.methods.imbalance.semixup import losses, measures, unlabelled
from workbench.methods.imbalance.semixup.augment import augmented
from workbench.methods.imbalance.semixup.knobs import GRADES, Semixup
from workbench.methods.imbalance.semixup.losses import Terms
from workbench.methods.imbalance.semixup.network import Siamese
from workbench.methods.imbalance.semixup.seen import Seen
from workbench.methods.imbalance.semixup.severity import World
from workbench.methods.imbalance.semixup.shows import LABELS
from workbench.models.optim import make_optimizer
from workbench.per_class import PerClass, confusion
from workbench.signals import emit

PROBED = 250  # unlabelled pictures whose answers are looked at
EXAMPLE = (1, 3)  # grades of the two pictures whose answers are drawn


class Experiment:
    """Pictures are a function of the seed and the launch settings; the network alone trains."""

    def __init__(self, config: Semixup, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.world = World(config, session)
        self.network = Siamese(GRADES, session.torch_rng("init", "network"))
        self.optimizer = make_optimizer(config.optimizer, self.network.parameters())
        self.report = PerClass(LABELS)
        number = len(self.world.unlabelled.y)
        self.per_epoch = order.count(number, config.unlabelled_batch, smallest=config.unlabelled_batch)
        self.of_grade = [np.flatnonzero(self.world.labelled.y.numpy() == g) for g in range(GRADES)]
        rows = session.rng("eval", "probed").permutation(number)[:PROBED]
        self.probed = self.world.unlabelled.x[torch.from_numpy(rows)]
        self.shaken = augmented(self.probed, session.torch_rng("eval", "augment"))
        test = self.world.test
        pair = torch.stack([test.x[int((test.y == g).nonzero()[0])] for g in EXAMPLE])
        self.example = torch.cat([pair, augmented(pair[:1], session.torch_rng("eval", "example"))])
        session.register(model=self.network, optimizer=self.optimizer)

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """One labelled and one unlabelled batch; what follows is looked at every few steps and behind the last."""
        c = self.config
        labelled = self._labelled(step)
        terms, now = self._unlabelled(step), ramp(step, c.rampup)
        loss = labelled + now * terms.total
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        emit("loss", loss)
        emit("loss_labelled", labelled)
        for name in ("cons", "mixup", "cons_mixup", "cons_aug_mixup"):
            emit(f"loss_{name}", now * getattr(terms, name))
        emit("coef_now", now if c.method != "none" else 0.0)
        if (step + 1) % c.evaluate_every == 0 or step in (0, c.steps - 1):
            with self.session.isolated(self.network), torch.no_grad():
                self._look()

    def _answers(self, x: Tensor, name: str, *keys: int) -> Tensor:
        """Logits in training, with a dropout mask of its own."""
        mask = self.network.dropped(len(x), self.config.dropout, self.session.torch_rng("method", name, *keys))
        logits: Tensor = self.network(x, mask)
        return logits

    def _weight(self, name: str, step: int, floor: float) -> float:
        alpha = self.config.alpha
        return losses.folded(float(self.session.rng("method", name, step).beta(alpha, alpha)), floor)

    def _labelled(self, step: int) -> Tensor:
        """Cross-entropy of as many pictures of each grade, mixed in pairs if asked for."""
        c, rng = self.config, self.session.rng("data", "batch", step)
        rows = np.concatenate([rng.choice(own, c.per_grade, replace=False) for own in self.of_grade])
        chosen = torch.from_numpy(rng.permutation(rows))
        x, y = self.world.labelled.x[chosen], self.world.labelled.y[chosen]
        if not c.mixup:
            return F.cross_entropy(self._answers(x, "labelled", step), y)
        weight = self._weight("labelled weight", step, 0.5)
        logits = self._answers(losses.mixed(x, losses.partners(x), weight), "labelled", step)
        return losses.labelled_mixup(logits, y, losses.partners(y), weight)

    def _unlabelled(self, step: int) -> Terms:
        """The terms that the method makes of an unlabelled batch, before their ramp-up."""
        c = self.config
        if c.method == "none":  # not even drawn
            return Terms()
        epoch, place = divmod(step, self.per_epoch)
        shuffled = self.session.rng("data", "epoch", epoch).permutation(len(self.world.unlabelled.y))
        rows = next(order.batches(shuffled, c.unlabelled_batch, place * c.unlabelled_batch))
        x, passes = self.world.unlabelled.x[torch.from_numpy(rows)], iter(range(3))
        seen = Seen(
            x, augmented(x, self.session.torch_rng("augment", step)),
            lambda shown: self._answers(shown, "unlabelled", step, next(passes)),
            self._weight("unlabelled weight", step, c.min_lambda), c,
        )  # fmt: skip
        terms: Terms = unlabelled.method(c.method).terms(seen)
        return terms

    # -- looking ------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Everything that is shown every few steps, without dropout."""
        world, c = self.world, self.config
        guess = self.network(world.test.x).argmax(1).numpy()
        self.report.emit(guess, world.test.y)
        table = confusion(guess, world.test.y.numpy(), GRADES)
        emit("quadratic_kappa", measures.quadratic_kappa(table))
        emit("mae_grade", measures.mean_error(table))
        emit("labels", GRADES * c.n_labelled)
        own = self.network(world.labelled.x).softmax(1)
        emit("train_balanced_accuracy", 100 * (own.argmax(1) == world.labelled.y).double().mean())
        self._look_at_unlabelled(100 * float(own.amax(1).mean()))

    def _look_at_unlabelled(self, confidence: float) -> None:
        """How consistent and how informative answers are; `confidence` is that on labelled pictures, in %."""
        weight = self.config.min_lambda
        p = self.network(self.probed).softmax(1)
        out = self.network(losses.mixed(self.probed, losses.partners(self.probed), weight)).softmax(1)
        between = losses.mixed(p, losses.partners(p), weight)
        emit("consistency_in", (p - self.network(self.shaken).softmax(1)).square().sum(1).mean())
        emit("consistency_out", (out - between).square().sum(1).mean())
        emit("confidence_gap", confidence - 100 * float(p.amax(1).mean()))
        probabilities = p.double().numpy()
        of_mean, information = measures.told_apart(probabilities)
        emit("mean_entropy", of_mean)
        emit("information", information)
        first, second, shaken = self.example
        four = torch.stack([first, second, losses.mixed(first, second, weight), shaken])
        axes, mean = measures.plane(probabilities)
        place = (self.network(four).softmax(1).double().numpy() - mean) @ axes.T
        emit("triangle_x", place[:, 0])
        emit("triangle_y", place[:, 1])


def ramp(step: int, length: int) -> float:
    """exp(-5 (1 - t)^2), t = step / length up to 1: how much consistency counts (Laine and Aila 2017)."""
    return math.exp(-5 * (1 - min(step / length, 1)) ** 2) if length else 1.0


def train(config: Semixup, session: SessionProtocol) -> None:
    """Train for the run's steps."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
