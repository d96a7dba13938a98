"""Long tails with missing labels as a plain loop: one network, or a head, a tail and a balanced one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.data.order import batches, count
from workbench.methods.imbalance.comic import networks, sample
from workbench.methods.imbalance.comic.corrector import Corrector, Recall, recall
from workbench.methods.imbalance.comic.gate import Gate
from workbench.methods.imbalance.comic.knobs import Comic
from workbench.methods.imbalance.comic.look import Look
from workbench.methods.imbalance.comic.losses import balancer
from workbench.methods.imbalance.comic.modifier import Modifier
from workbench.methods.imbalance.comic.tally import Tally
from workbench.models.optim import make_optimizer
from workbench.signals import emit

SURFACE_EVERY = 5  # steps


@dataclass(frozen=True)
class Batch:
    """Inputs, recorded and true labels (B, C), and which samples (B,) are audited."""

    x: Tensor
    y: Tensor
    truth: Tensor
    audited: Tensor


class Experiment:
    """Everything that trains, and what is looked at when an epoch ends."""

    def __init__(self, config: Comic, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        data = sample.source(config, session)
        self.truth = data.train_y
        self.recorded = sample.record(data.train_y, config.missing_rate, session.rng("data", "missing"))
        audited = sample.audit(len(self.truth), config.audited, session.rng("data", "audit"))
        self.all = Batch(
            torch.from_numpy(data.train_x), torch.from_numpy(self.recorded).float(), torch.from_numpy(self.truth),
            torch.from_numpy(audited),
        )  # fmt: skip
        self.modifier = Modifier(self.all.y, data.classes)
        self.network = self._build()
        self.optimizer = make_optimizer(config.optimizer, self.network.parameters())
        classes = len(data.classes)
        counts = self.all.y.sum(0)
        self.gate, self.tally = Gate(classes), Tally(classes)
        self.correctors = {name: Corrector(counts) for name in ("head", "tail", "balanced")}
        self.look = Look(data, self.recorded, suffix="" if config.data == "films" else "_tiles")
        self.per_epoch = count(len(self.truth), config.batch_size)
        session.register(
            model=self.network, optimizer=self.optimizer, gate=self.gate, tally=self.tally,
            **{f"corrector_{name}": own for name, own in self.correctors.items()},
        )  # fmt: skip

    def _build(self) -> nn.Module:
        """The network or networks, a function of the seed and the launch settings."""
        c, classes = self.config, self.truth.shape[1]
        seed = int(self.session.rng("init", "network").integers(2**62))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)

            def backbone() -> nn.Module:
                pictures = self.all.x.ndim > 2
                return networks.small_conv(c.width) if pictures else networks.perceptron(self.all.x.shape[1], c.width)

            if c.networks == "one":
                return nn.Sequential(backbone(), nn.Linear(c.width, classes))
            head, tail, balanced = (networks.Normed(backbone(), c.width, classes) for _ in range(3))
            return networks.Three(head, tail, balanced)

    # -- batches ------------------------------------------------------------------------------------------------------

    def draw(self, rows: np.ndarray) -> Batch:
        """The training examples of these rows."""
        return Batch(*(part[rows] for part in (self.all.x, self.all.y, self.all.truth, self.all.audited)))

    def natural(self, step: int) -> np.ndarray:
        """Rows of the step's batch: all examples once an epoch."""
        epoch, place = divmod(step, self.per_epoch)
        own = self.session.rng("data", "order", epoch).permutation(len(self.truth))
        return next(batches(own, self.config.batch_size, place * self.config.batch_size))

    def by_class(self, step: int, name: str) -> np.ndarray:
        """Rows drawn class first: ``balanced``, all classes alike; ``reversed``, the rarer the oftener (1 / count)."""
        rng = self.session.rng("data", name, step)
        counts = self.recorded.sum(0)
        shares = np.ones(len(counts)) if name == "balanced" else 1 / counts
        drawn = rng.choice(len(counts), size=self.config.batch_size, p=shares / shares.sum())
        return np.array([rng.choice(np.flatnonzero(self.recorded[:, c])) for c in drawn])

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """One batch of each network; behind the last of an epoch everything is looked at."""
        epoch, place = divmod(step, self.per_epoch)
        if place == 0:
            self.session.stage("epoch", epoch)
            self.tally.clear()
            for corrector in self.correctors.values():
                corrector.new_epoch()
        self.network.train()
        parts = list(self.one(step, epoch) if self.config.networks == "one" else self.three(step, epoch))
        answering, batch = parts[-1][1:]  # of the network that answers
        self.optimizer.zero_grad()
        answering.retain_grad()
        torch.stack([loss for loss, _, _ in parts]).sum().backward()
        assert answering.grad is not None
        self.tally.gradient(answering.grad, batch.y)
        self.optimizer.step()
        emit("loss", parts[-1][0] / batch.y.numel())
        if step % SURFACE_EVERY == 0:
            self.look.surface(self.modifier, self.config)
        if place == self.per_epoch - 1 or step == self.config.steps - 1:
            with self.session.isolated(self.network):
                self.end_of_epoch()

    def one(self, step: int, epoch: int) -> Iterator[tuple[Tensor, Tensor, Batch]]:
        """The loss of the only network, its logits and its batch."""
        batch = self.draw(self.natural(step))
        x = self.network(batch.x)
        yield self.modifier.loss(x, batch.y, self.config) + self.correct("balanced", x, batch, epoch), x, batch

    def three(self, step: int, epoch: int) -> Iterator[tuple[Tensor, Tensor, Batch]]:
        """The same of the head, the tail and the balanced network, each on inputs and labels of its own sampler."""
        c, nets = self.config, self.network
        assert isinstance(nets, networks.Three)
        shifts = {"head": -1.0, "tail": c.head_tail_alpha}
        rows = {"head": self.natural(step), "tail": self.by_class(step, "reversed")}
        for name, net in (("head", nets.head), ("tail", nets.tail)):
            batch = self.draw(rows[name])
            plain, moved = net.both(batch.x, shifts[name])
            yield self.modifier.loss(plain, batch.y, c) + self.correct(name, moved, batch, epoch), plain, batch
        batch = self.draw(self.by_class(step, "balanced"))
        plain = nets.balanced(batch.x)
        loss = self.modifier.loss(plain, batch.y, c) + self.correct("balanced", plain, batch, epoch)
        if c.distil:
            with torch.no_grad():
                head, tail = (
                    networks.normed_logits(net.backbone(batch.x), net.weight, net.mean, shifts[name])
                    for name, net in (("head", nets.head), ("tail", nets.tail))
                )
            loss = loss + balancer(head, tail, plain, batch.y, lambda z, y: self.modifier.loss(z, y, c))
        yield loss, plain, batch

    def correct(self, name: str, x: Tensor, batch: Batch, epoch: int) -> Tensor:
        """The weighted loss on recalled labels; 0 while the corrector is off or has not begun."""
        c = self.config
        if c.corrector == "off":
            return x.new_zeros(())
        gated = c.corrector == "gated"
        found = recall(x, batch.y, level=self.gate.level if gated else c.tau, margin=c.margin)
        begun = epoch >= c.corrector_start
        used = begun and (not gated or self.gate.approves(c.min_precision))
        if name == "balanced":
            self.tally.recall(found.recalled, batch.truth, batch.audited, used=used)
        if not begun:
            return x.new_zeros(())
        if not used:
            found = Recall(batch.y, torch.zeros_like(found.recalled))
        loss = self.correctors[name].loss(
            x, batch.y, found, power=c.weight_power, gamma_neg=c.gamma_neg, gamma_pos=c.gamma_pos, clip=c.clip,
            margin=c.margin, batch_size=c.batch_size,
        )  # fmt: skip
        return c.corrector_weight * loss

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def end_of_epoch(self) -> None:
        """Show how well the test is ranked, how far probabilities have drifted, and what was recalled."""
        c, counts = self.config, self.tally.counts
        p = torch.sigmoid(self.network(self.all.x))
        self.gate.renew(p, self.all.y, c.recall_share, right=counts["audited_right"], seen=counts["audited"])
        self.look.ranking(torch.sigmoid(self.network(torch.from_numpy(self.look.data.test_x))))
        self.look.drift(p)
        self.look.recalls(self.tally, self.gate, c)


def train(config: Comic, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
