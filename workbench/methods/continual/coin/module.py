"""Toy instruction tuning as a plain loop: a frozen network, adapters, and an average of their weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench import data
from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual._shared import metrics
from workbench.methods.continual.coin import backbone, grouping, lora, questions
from workbench.methods.continual.coin.dema import DynamicEma, Moved
from workbench.methods.continual.coin.knobs import Coin
from workbench.methods.continual.coin.stream import Stream
from workbench.models.optim import make_optimizer
from workbench.signals import emit

Weights = Mapping[str, Tensor]


class Experiment:
    """Everything that trains; all that moves is registered, so that a run goes on bit for bit from inside a task."""

    def __init__(self, config: Coin, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.tasks = questions.choose(config.questions, config.order_seed)
        for question in self.tasks:
            for wording in question.wordings:
                grouping.check(wording)
        source = data.load("fashion_mnist")
        images = data.as_floats(source.train_x[: config.train_images], source.levels).reshape(-1, backbone.PIXELS)
        vectors = [config.instruction_scale * v for v in questions.embed(self.tasks, session.rng("init", "words"))]
        classes = source.train_y[: config.train_images]
        self.stream = Stream(self.tasks, vectors, images, classes, session.rng, mixed=config.joint)
        self.probe = self._ask_all(source, 0, config.probe_images)
        self.testing = self._ask_all(source, config.probe_images, config.test_images)
        self.network = self._build(images)
        self.adapter = lora.adapter(self.network)
        self.ema, self.bank, self.groups = DynamicEma(self.adapter), lora.Bank(), grouping.Groups()
        self.optimizer = make_optimizer(config.optimizer, self.adapter.values())
        self.record = metrics.Record(len(self.tasks))
        self.complained: set[str] = set()
        session.register(
            model=self.network, optimizer=self.optimizer, ema=self.ema, bank=self.bank, groups=self.groups,
            stream=self.stream, record=self.record,
        )  # fmt: skip
        session.probe("accuracy", self.look_at_accuracy)
        session.action("replace", self.ema.replace)

    def _ask_all(self, source: data.Data, first: int, number: int) -> list[tuple[Tensor, np.ndarray]]:
        """Every task's question about the same test images, its wordings in turn: inputs (n, 800), answers (n,)."""
        rows = slice(first, first + number)
        images = data.as_floats(source.test_x[rows], source.levels).reshape(-1, backbone.PIXELS)
        classes, turns = source.test_y[rows], np.arange(len(source.test_y[rows]))
        asked = [self.stream.ask(images, classes, np.full(len(turns), k), turns) for k in range(len(self.tasks))]
        return [(torch.from_numpy(x), y) for x, y in asked]

    def _build(self, images: np.ndarray) -> nn.Module:
        """The frozen network with its adapters; a function of the seed and the launch settings."""
        c = self.config
        generator = self.session.torch_rng("init", "network")
        network = backbone.random_mlp(backbone.PIXELS + questions.WORDS, generator)
        if c.backbone == "reconstruction":
            backbone.pretrain(network, torch.from_numpy(images), generator)
        return lora.apply_lora(network, c.rank, c.lora_alpha)

    # -- training -----------------------------------------------------------------------------------------------------

    @property
    def averaging(self) -> bool:
        """Whether this task's weights are averaged; an adapter's first task is not, as released."""
        return self.config.mode != "none" and (self.config.average_new or self.groups.reused)

    def step(self) -> None:
        """One batch; at a task's border first go to the next one, behind a task's last batch finish it."""
        c = self.config
        if self.stream.at_border:
            self.session.stage("task", self.stream.task + 1)
            self._begin()
        for layer in lora.layers(self.network):
            layer.alpha = c.lora_alpha
        inputs, answers = (torch.from_numpy(part) for part in self.stream.next(c.batch_size))
        loss = F.cross_entropy(self.network(inputs), answers)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        emit("task", self.stream.task)
        emit("loss", loss)
        if self.averaging:
            decay = 1 - c.one_minus_decay if c.mode == "fixed" else None
            self._show_average(self.ema.update(decay=decay, factor=c.factor, fallback=c.fallback))
        if self.stream.at_border:
            self._finish()

    def _begin(self) -> None:
        """The next task: its group and adapter, a fresh optimiser and a fresh average."""
        c, task = self.config, self.stream.task + 1
        self.stream.begin(c.steps_per_task)
        wordings = self.tasks[task].wordings
        self._choose_adapter(task, wordings)
        self.optimizer.state.clear()
        self.ema.begin()
        emit("similarity", self.similarity())
        emit("group_of_task", np.array(self.groups.of_task + [-1] * (len(self.tasks) - task - 1)))
        emit("groups", len(self.groups.books))

    def _choose_adapter(self, task: int, wordings: tuple[str, ...]) -> None:
        c = self.config
        group = {
            "shared": lambda: self.groups.current if task else None,
            "grouped": lambda: self.groups.nearest(wordings, c.threshold),
            "separate": lambda: None,
        }[c.adapters]()
        group = self.groups.assign(group, wordings)
        if group < len(self.bank.kept):
            lora.put(self.network, self.bank.kept[group])
            return
        for i, layer in enumerate(lora.layers(self.network)):
            layer.reset(self.session.torch_rng("init", "adapter", task, i))

    def similarity(self) -> np.ndarray:
        """(tasks, groups): of each task to the groups that there were when it began, by codebooks as they were then."""
        table = np.zeros((len(self.tasks), len(self.tasks)))
        for row, like in zip(table, self.groups.like, strict=False):
            row[: len(like)] = like
        return table

    def _show_average(self, moved: Moved) -> None:
        emit("alpha", np.array(moved.alpha))
        emit("ema_distance", self.ema.distance())
        emit("ema_memory", self.ema.bytes / 2**20)
        emit("skipped_tensors", len(moved.skipped))
        for name in sorted(set(moved.skipped) - self.complained):
            self.complained.add(name)
            warnings.warn(f"The adapter tensor {name} has no gradient; its average stands still.", stacklevel=2)
        if moved.judged:
            emit("alpha_raw", np.array(moved.raw))
            emit("alpha_fallback", self.config.fallback)
            emit("alpha_dynamic", np.array(moved.dynamic, dtype=np.float64))
            emit("dynamic_share", float(np.mean(moved.dynamic)))

    def _finish(self) -> None:
        """The end of a task: weights become their average, what was learned is measured and kept."""
        t = self.stream.task
        with self.session.isolated():
            emit("new_task_accuracy_trained", self._accuracy(t, self.testing[t], {})[0])
        if self.averaging:
            self.ema.replace()
        self.bank.keep(self.groups.current, self.adapter)
        with self.session.isolated():
            found = np.array([self._accuracy(k, asked, {}) for k, asked in enumerate(self.testing)])
        self.record.put(t, found[:, 0], found[:, 1])
        R = self.record.class_il
        emit("accuracy_matrix", R[: t + 1])
        emit("top1_acc_exp", R[t])
        emit("top1_acc_stream", metrics.stream_accuracy(R, t))
        emit("told_acc_stream", metrics.stream_accuracy(self.record.task_il, t))
        emit("new_task_accuracy", R[t, t])
        emit("plasticity", np.diag(R)[: t + 1].mean())
        if t:
            lost = np.zeros(len(self.tasks))
            lost[:t] = metrics.experience_forgetting(R, t)
            emit("experience_forgetting", lost)
            emit("stream_forgetting", metrics.experience_forgetting(R, t).mean())
            emit("forgetting", metrics.worst_forgetting(R, t).mean())
            emit("stream_bwt", metrics.backward_transfer(R, t))

    # -- looking ------------------------------------------------------------------------------------------------------

    def look_at_accuracy(self) -> None:
        """Accuracy on the probe of every task, of the weights in training and of those that would be handed over."""
        trained = np.array([self._accuracy(k, asked, {})[0] for k, asked in enumerate(self.probe)])
        kept = trained
        if self.stream.task >= 0 and self.averaging:
            kept = np.array([self._accuracy(k, asked, self.ema.average)[0] for k, asked in enumerate(self.probe)])
        seen = max(self.stream.task, 0) + 1
        emit("probe_accuracy", kept)
        emit("probe_accuracy_trained", trained)
        emit("probe_average", kept[:seen].mean())
        emit("probe_average_trained", trained[:seen].mean())

    def _accuracy(self, k: int, asked: tuple[Tensor, np.ndarray], newest: Weights) -> tuple[float, float]:
        """Per cent right on task k, among all answers and among its own; `newest`: weights of the newest adapter."""
        inputs, answers = asked
        tensors = newest
        if self.groups.of_task and (group := self._serves(k)) != self.groups.current:
            tensors = self.bank.kept[group]
        with torch.no_grad(), lora.using(self.network, tensors):
            logits = self.network(inputs).numpy()
        own = np.isin(np.arange(logits.shape[1]), self.tasks[k].answers)
        told = np.where(own, logits, -np.inf)
        return tuple(100 * float(np.mean(part.argmax(1) == answers)) for part in (logits, told))  # type: ignore[return-value]

    def _serves(self, k: int) -> int:
        """The group whose adapter answers task k."""
        if self.config.adapters == "grouped":
            return self.groups.route(self.tasks[k].wordings, self.config.threshold)
        return self.groups.of_task[k] if k < len(self.groups.of_task) else self.groups.current


def train(config: Coin, session: SessionProtocol) -> None:
    """Train through the stream; ends with it, or with the run's steps if they are fewer."""
    experiment = Experiment(config, session)
    for _ in session.steps(config.steps):
        experiment.step()
        if experiment.stream.over:
            break
