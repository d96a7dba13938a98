"""Online continual learning as a plain loop: a stream, a buffer, a base strategy, and a norm layer to choose."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from workbench.cards.parts import part
from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual._shared import metrics, streams
from workbench.methods.continual._shared.augment import shift_and_flip
from workbench.methods.continual._shared.buffer import Buffer, Items
from workbench.methods.continual._shared.context import NormContext, fixed_eta
from workbench.methods.continual._shared.learner import Learner, Part
from workbench.methods.continual._shared.networks import four_conv
from workbench.methods.continual._shared.parts import NORMS, STRATEGIES
from workbench.methods.continual.adab2n.card import AdaB2NConfig
from workbench.methods.continual.adab2n.convert import convert_norm, recency
from workbench.models.optim import make_optimizer
from workbench.signals import emit

CHUNK = 500  # images a forward in evaluation


class Experiment:
    """Everything that trains; all that moves is registered, so that a run goes on bit for bit from inside a task."""

    def __init__(self, config: AdaB2NConfig, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        seed = session.seed if config.order_seed < 0 else config.order_seed
        self.tasks = streams.load(config.stream, seed, images=config.images_per_task)
        strategy = part(STRATEGIES, config.strategy, what="strategy")
        norm = part(NORMS, config.norm, what="norm layer")
        classes, number = self.tasks.classes, len(self.tasks)
        self.context = NormContext(number, groups=config.groups)
        self.network = self._build(classes)
        self.learner = Learner(self.network, self.context, strategy, config, classes=classes, joint=norm.JOINT)
        self.stream = streams.Stream(self.tasks, session.rng, mixed=strategy.MIXED)
        rings = number if config.buffer == "ring" else 0
        shape = self.tasks.tasks[0].train_x.shape[1:]
        self.buffer = Buffer(config.buffer_size, shape, classes, rings=rings)
        self.record = metrics.Record(number)
        self.optimizer = make_optimizer(config.optimizer, self.network.parameters())
        self.adaptive = [p for name, p in self.network.named_parameters() if name.endswith("psi")]
        self.statistics = [self._floats(x) for x, _ in self.tasks.probes(config.statistics_images)]
        self.accuracy = self._labelled(self.tasks.probes(config.probe_images))
        self.testing = self._labelled(self.tasks.probes(config.test_images))
        session.register(
            model=self.network, optimizer=self.optimizer, learner=self.learner, stream=self.stream, buffer=self.buffer,
            record=self.record,
        )  # fmt: skip
        session.probe("statistics", self.look_at_statistics)
        session.probe("accuracy", self.look_at_accuracy)

    def _build(self, classes: int) -> nn.Module:
        """The network, a function of the seed alone: the same weights whatever the norm layer."""
        seed = int(self.session.rng("init", "network").integers(2**62))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = four_conv(self.config.width, channels=self.tasks.channels, classes=classes)
        return convert_norm(network, self.context, norm=self.config.norm)

    def _floats(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(self.tasks.floats(images))

    def _labelled(self, sets: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[Tensor, np.ndarray]]:
        return [(self._floats(x), y) for x, y in sets]

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self, step: int) -> None:
        """One batch of the stream with its replay; at a task's border first go to the next one."""
        c, stream = self.config, self.stream
        if stream.at_border:
            self.session.stage("task", stream.task + 1)
            size = c.batch_size + (c.replay_batch if stream.mixed else 0)
            stream.begin(c.steps_per_task, size)
        self.context.configure(kappa=c.kappa, momentum=c.bn_momentum, renormalise=c.renormalise)
        images, labels, tasks = (torch.from_numpy(part) for part in stream.next())
        new = Items(images, labels, tasks)
        replays = self._replays(step)
        parts = [self._part(items, step, i) for i, items in enumerate([new, *replays])]
        fresh, replayed, gap = self.learner.losses(parts[0], parts[1:], stream.task, stream.current)
        loss = fresh + replayed
        if self.adaptive and stream.task >= c.ada_t0:
            loss = loss + c.gap_weight * gap
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        new = Items(images, labels, tasks, parts[0].logits.detach())
        self.buffer.add(new, self.session.rng("data", "reservoir", step))
        emit("task", stream.task)
        emit("loss", loss)
        emit("loss_new", fresh)
        emit("loss_replay", replayed)
        self._show_window(gap)

    def _replays(self, step: int) -> list[Items]:
        """The strategy's draws for this step; none while the buffer is empty."""
        if not len(self.buffer):
            return []
        draws = self.learner.strategy.draws(self.stream.task)
        rngs = (self.session.rng("data", "replay", step, i) for i in range(draws))
        return [self.buffer.draw(self.config.replay_batch, rng) for rng in rngs]

    def _part(self, items: Items, step: int, index: int) -> Part:
        images = self._floats(items.images.numpy())
        if self.config.augment:
            images = shift_and_flip(images, self.session.rng("augment", step, index))
        return Part(images, items.labels, items.tasks, items.logits)

    def _show_window(self, gap: Tensor) -> None:
        """Emit what the norm layers' windows hold, where there are any."""
        if self.learner.window.eta:
            emit("bn_mass", self.learner.window.mass)
            emit("bn_eta", self.learner.window.eta)
        if self.adaptive:
            emit("bn_gap", gap)
            emit("bn_eta_fixed", fixed_eta(self.config.bn_momentum, self.config.kappa))
            emit("exp_psi", torch.stack([psi.detach() for psi in self.adaptive]).exp().mean(0))

    # -- looking ------------------------------------------------------------------------------------------------------

    def look_at_statistics(self) -> None:
        """How far the windows are from each task's images; the session calls it isolated."""
        task = max(self.stream.task, 0)
        emit("buffer_shares", self.buffer.shares(len(self.tasks)))
        distance, even = recency(self.network, self.statistics, task + 1)
        if not len(distance):
            return
        by_task, fair = distance.mean(0), even.mean(0)
        emit("bn_recency", distance)
        emit("bn_even", even)
        emit("bn_recency_by_task", by_task)
        if task:
            ratio, expected = (d[:task].mean() / d[task].clamp_min(1e-12) for d in (by_task, fair))
            emit("bn_recency_ratio", ratio / expected.clamp_min(1e-12))

    def look_at_accuracy(self) -> None:
        """Accuracy on the fixed probe of every task; the session calls it isolated."""
        found = np.array([self._accuracy(x, y)[0] for x, y in self.accuracy])
        emit("probe_accuracy", found)
        emit("probe_average", found[: max(self.stream.task, 0) + 1].mean())

    @torch.no_grad()
    def _accuracy(self, images: Tensor, labels: np.ndarray) -> tuple[float, float]:
        logits = torch.cat([self.network(part) for part in images.split(CHUNK)]).double().numpy()
        return metrics.accuracies(logits, labels, self.tasks.classes_per_task)

    def evaluate(self) -> None:
        """Test accuracies after a task, and what is read from them; weights and random state stay as they are."""
        t = self.stream.task
        with self.session.isolated():
            found = np.array([self._accuracy(x, y) for x, y in self.testing])
        self.record.put(t, found[:, 0], found[:, 1])
        R = self.record.class_il
        emit("accuracy_matrix", R[: t + 1])
        emit("task_il_matrix", self.record.task_il[: t + 1])
        emit("top1_acc_exp", R[t])
        emit("top1_acc_stream", metrics.stream_accuracy(R, t))
        emit("task_il_acc_stream", metrics.stream_accuracy(self.record.task_il, t))
        if t:
            lost = np.zeros(len(self.tasks))
            lost[:t] = metrics.experience_forgetting(R, t)
            emit("experience_forgetting", lost)
            emit("stream_forgetting", metrics.experience_forgetting(R, t).mean())
            emit("forgetting", metrics.worst_forgetting(R, t).mean())
            emit("stream_bwt", metrics.backward_transfer(R, t))


def train(config: AdaB2NConfig, session: SessionProtocol) -> None:
    """Train one pass over the stream; ends with the stream, or with the run's steps if they are fewer."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
        if experiment.stream.at_border or step == config.steps - 1:
            experiment.evaluate()
        if experiment.stream.over:
            break
