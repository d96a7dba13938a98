"""The laboratory as a plain loop: train to a loss, and see how much has changed inside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.continual.rich_lazy import measures, settings
from workbench.methods.continual.rich_lazy.knobs import RichLazy
from workbench.models.optim import make_optimizer
from workbench.signals import emit


class Progress:
    """Which rule is being learned, and the running mean of its loss; register it."""

    def __init__(self, rules: int) -> None:
        self.rule, self.began, self.smoothed = 0, 0, float("inf")
        self.needed = [0] * rules

    @property
    def over(self) -> bool:
        """Whether the last rule has been learned."""
        return self.rule >= len(self.needed)

    def take(self, loss: float, decay: float) -> None:
        """One more loss of the rule; the mean starts at the first, so that it counts after its window alone."""
        first = self.smoothed == float("inf")
        self.smoothed = loss if first else decay * self.smoothed + (1 - decay) * loss

    def learned(self, step: int) -> None:
        """The rule is learned with this step."""
        self.needed[self.rule] = step + 1 - self.began
        self.rule, self.began, self.smoothed = self.rule + 1, step + 1, float("inf")

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"rule": self.rule, "began": self.began, "smoothed": self.smoothed, "needed": list(self.needed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.rule, self.began, self.smoothed = int(state["rule"]), int(state["began"]), float(state["smoothed"])
        self.needed = list(state["needed"])


class Experiment:
    """Everything that trains; what it is compared with, the state at step 0, is a function of the seed."""

    def __init__(self, config: RichLazy, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.setting = settings.build(config, session)
        self.network, self.weight = self.setting.network, self.setting.weight
        self.weight0 = self.weight.detach().clone()
        self.singular0 = torch.linalg.svdvals(self.weight0)
        self.active0, self.hidden0 = self.setting.states()
        self.kernel0 = self.setting.kernel()
        self.progress = Progress(config.tasks)
        self.optimizer = make_optimizer(config.optimizer, self.network.parameters())
        self.clock, self.spent = time.perf_counter(), 0.0
        session.register(model=self.network, optimizer=self.optimizer, progress=self.progress)
        session.probe("measures", self.look_inside)
        session.probe("kernel", self.look_at_kernel)

    def step(self, step: int) -> None:
        """One batch; behind the last of a rule everything is looked at."""
        c, progress = self.config, self.progress
        if step == progress.began:
            self.session.stage("rule", progress.rule)
        rule = progress.rule
        loss = self.setting.loss(step, rule)
        self.optimizer.zero_grad()
        loss.backward()
        if c.train == "recurrent":
            for parameter in self.network.parameters():
                if parameter is not self.weight:
                    parameter.grad = None
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), c.grad_clip or float("inf"))
        self.optimizer.step()
        progress.take(loss.item(), self.setting.noise)
        smoothed = progress.smoothed
        moved = torch.linalg.norm(self.weight.detach() - self.weight0)
        emit("loss", loss)
        emit("smoothed_loss", smoothed)
        emit("grad_norm", norm)
        emit("rule", rule)
        emit("delta_w", moved)
        emit("delta_w_relative", moved / torch.linalg.norm(self.weight0))
        window = round(1 / (1 - self.setting.noise))  # one lucky batch is no running mean
        learned = smoothed <= c.stop_loss and step + 1 - progress.began >= window
        if learned or step == c.steps - 1:
            with self.session.isolated():
                self.look_inside()
                self.look_at_kernel()
            if learned:
                progress.learned(step)
            emit("steps_to_loss", torch.tensor(progress.needed))

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def look_inside(self) -> None:
        """Hidden states, accuracies and singular values; the session calls it isolated."""
        active, hidden = self.setting.states()
        self._show("rep_alignment", measures.alignment(measures.gram(hidden), measures.gram(self.hidden0)))
        emit("sign_similarity", measures.sign_similarity(active, self.active0))
        singular = torch.linalg.svdvals(self.weight)
        emit("singular_values", singular)
        emit("singular_values_start", self.singular0)
        emit("effective_rank", torch.tensor(measures.effective_ranks(singular)))
        emit("effective_rank_start", torch.tensor(measures.effective_ranks(self.singular0)))
        rule = min(self.progress.rule, self.config.tasks - 1)
        self._show("accuracy", self.setting.accuracy(rule))
        self._show("first_rule_accuracy", self.setting.accuracy(0))
        for when, points in zip(("now", "start"), plane(hidden, self.hidden0), strict=True):
            emit(f"plane_x_{when}", points[:, 0])
            emit(f"plane_y_{when}", points[:, 1])
        emit("answers", self.setting.colours())

    def look_at_kernel(self) -> None:
        """The tangent kernel against that of step 0; the session calls it isolated."""
        began = time.perf_counter()
        kernel = self.setting.kernel()
        found = measures.alignment(kernel, self.kernel0)
        self._show("ntk_alignment", found)
        emit("dead", float(found is None))
        emit("kernel", kernel)
        emit("kernel_start", self.kernel0)
        emit("tasks", self.config.tasks)
        now = time.perf_counter()
        self.spent += now - began
        emit("kernel_share", self.spent / max(now - self.clock, 1e-9))

    @staticmethod
    def _show(name: str, value: float | None) -> None:
        if value is not None:
            emit(name, value)


def plane(hidden: Tensor, hidden0: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden states (n, units) now and at step 0 on the two principal directions of both together, (n, 2) each."""
    both = torch.cat([hidden, hidden0])
    both = both - both.mean(0)
    directions = torch.linalg.svd(both, full_matrices=False)[2][:2]
    points = both @ directions.T
    if points.shape[1] == 1:  # a single hidden unit
        points = torch.cat([points, torch.zeros_like(points)], dim=1)
    return points[: len(hidden)], points[len(hidden) :]


def train(config: RichLazy, session: SessionProtocol) -> None:
    """Train until every rule's loss is where it is to stop, or the run's steps are over."""
    experiment = Experiment(config, session)
    for step in session.steps(config.steps):
        experiment.step(step)
        if experiment.progress.over:
            break
