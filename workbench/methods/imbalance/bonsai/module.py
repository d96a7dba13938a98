"""The stages of rich feature construction and an OoD method behind them, as a plain loop on full batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.protocols import SessionProtocol
from workbench.methods.imbalance.bonsai import look, ood, rounds
from workbench.methods.imbalance.bonsai.colours import World
from workbench.methods.imbalance.bonsai.knobs import ROUNDS, Bonsai
from workbench.methods.imbalance.bonsai.network import Network
from workbench.methods.imbalance.bonsai.objective import Objective, Seen, objective, squared
from workbench.methods.imbalance.bonsai.stages import DISCOVERY, ERM, OOD, SYNTHESIS, Progress
from workbench.models.optim import make_optimizer
from workbench.signals import emit


class Experiment:
    """One network, drawn anew for each round; everything that moves is registered, so that forks are exact anywhere."""

    def __init__(self, config: Bonsai, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.world = World(config, session)
        self.network = Network(config.hidden, ROUNDS)
        self.progress = Progress(config.images)
        self.optimizer = make_optimizer(config.optimizer, self.network.parameters())
        self.frozen: Tensor | None = None  # features of the training pictures, while they do not change
        self.pool: tuple[Tensor, Tensor] | None = None  # pictures and targets (rounds, n) of synthesis
        session.register(model=self.network, optimizer=self.optimizer, progress=self.progress)
        session.probe("filters", self.show_filters)

    # -- stages -------------------------------------------------------------------------------------------------------

    def step(self, step: int, last: int) -> None:
        """One full batch. What stands before it is looked at every few steps of a stage, and behind a stage's last."""
        c, progress = self.config, self.progress
        while progress.over(c, step):
            self._turn(step)
        over = progress.over(c, step + 1)
        ends = over or step == last
        if not ends and (step - progress.began) % c.evaluate_every == 0:
            self._look()
        found = self._train()
        emit("stage", progress.code)
        emit("loss", found.loss)
        emit("risk", found.risk)
        if found.penalty is not None:
            emit("penalty", found.penalty)
            emit("penalty_weight", c.penalty_weight)
        if progress.stage == OOD:
            emit("ood_step", step + 1 - progress.began)
        if ends:
            self._look()
        if over and progress.stage in (ERM, DISCOVERY):
            self._end_round()

    def _turn(self, step: int) -> None:
        """Into the next stage: fresh weights for a round, heads for synthesis, the merged head behind it."""
        c, progress, before = self.config, self.progress, self.progress.stage
        progress.index += 1
        self.session.stage("stage", progress.index)
        progress.begin(progress.following(c), step)
        fresh = self.session.torch_rng("init", "network", progress.index)
        if not before or progress.stage in (DISCOVERY, SYNTHESIS):
            self.network.reset(fresh, tasks=len(progress.correct) if progress.stage == SYNTHESIS else 0)
        elif before == SYNTHESIS:
            self.network.merge(len(progress.correct))
        self.optimizer.state.clear()
        self.pool = self.frozen = None

    def _end_round(self) -> None:
        """Keep which pictures the round is right on."""
        progress, train = self.progress, self.world.train
        with torch.no_grad():
            progress.found(look.right(self.network(train.x), train.y), self._scores()[0])
        if self.config.start == "rfc" and progress.following(self.config) != DISCOVERY:
            emit("overlap", rounds.overlap(progress.correct))
            emit("round_accuracy", progress.scores)
            emit("agreement", 100 * rounds.agreement(progress.correct).double().mean())

    # -- training -----------------------------------------------------------------------------------------------------

    def _train(self) -> Objective:
        freeze = self.progress.stage == OOD and self.config.freeze
        for weight in self.network.inside.parameters():
            weight.requires_grad_(not freeze)
        found = self._objective(freeze)
        found.check(f"step {self.session.step}, in the stage {self.progress.stage}")
        self.optimizer.zero_grad()
        found.loss.backward()
        self.optimizer.step()
        return found

    def _objective(self, freeze: bool) -> Objective:
        c, progress, network = self.config, self.progress, self.network
        if progress.stage == SYNTHESIS:
            return self._synthesis()
        if not freeze:
            self.frozen = None
        elif self.frozen is None:
            with torch.no_grad():
                self.frozen = network.features(self.world.train.x)
        features = network.features(self.world.train.x) if self.frozen is None else self.frozen
        logits, y = network.answer(features), self.world.train.y
        emit("train_acc", look.accuracy(logits.detach(), y))
        parts = rounds.groups(progress.correct) if progress.stage == DISCOVERY else list(self.world.environments)
        inside: list[nn.Parameter] = [] if freeze else list(network.inside.parameters())
        trained = (*inside, *network.head.parameters())
        seen = Seen(tuple(logits[p] for p in parts), tuple(y[p] for p in parts), trained)
        decay = c.l2 * squared([*network.inside.parameters(), *network.head.parameters()])
        name = {ERM: "erm", DISCOVERY: "group_dro", OOD: c.ood_method}[progress.stage]
        return objective(ood.method(name), seen, penalty_weight=c.penalty_weight, decay=decay)

    def _synthesis(self) -> Objective:
        """Mean over rounds of the loss of its head on its pseudo-labels."""
        c, network, tasks = self.config, self.network, len(self.progress.correct)
        if self.pool is None:
            self.pool = self._make_pool()
        x, targets = self.pool
        logits = network.answers(network.features(x), tasks)
        emit("train_acc", look.accuracy(logits.detach().T, targets))
        risk = F.binary_cross_entropy_with_logits(logits.T, targets)
        heads = [network.tasks.weight[:tasks], network.tasks.bias[:tasks]]
        return Objective(risk + c.l2 * squared([*network.inside.parameters(), *heads]), risk)

    def _make_pool(self) -> tuple[Tensor, Tensor]:
        train, correct = self.world.train, self.progress.correct
        targets = rounds.pseudo_labels(correct, train.y)
        if not self.config.resample:
            return train.x, targets
        rows = rounds.resampled(correct, self.session.rng("method", "pool"))
        return train.x[rows], targets[:, rows]

    # -- looking ------------------------------------------------------------------------------------------------------

    def _answers(self, x: Tensor) -> Tensor:
        """Logits (n,) of the head; in synthesis, of the rounds' heads merged."""
        if self.progress.stage == SYNTHESIS:
            return self.network.answers(self.network.features(x), len(self.progress.correct)).mean(1)
        logits: Tensor = self.network(x)
        return logits

    def _scores(self) -> tuple[Tensor, Tensor]:
        """Per cent right in the three colourings (3,), and the logits where colour is random."""
        logits = [self._answers(t.x) for t in self.world.tests]
        scores = [look.accuracy(z, t.y) for z, t in zip(logits, self.world.tests, strict=True)]
        return torch.tensor(scores, dtype=torch.float64), logits[2]

    @torch.no_grad()
    def _look(self) -> None:
        """Everything that is shown every few steps; draws no random numbers."""
        progress, train = self.progress, self.world.train
        scores, random_colour = self._scores()
        worst = float(scores.min())
        progress.best = max(progress.best, worst)
        emit("test_acc", scores)
        emit("worst_test_acc", worst)
        emit("best_worst_acc", progress.best)
        emit("colour_reliance", scores[1] - scores[0])
        by_colour, by_shape = look.follows(random_colour, self.world.tests[2])
        emit("follows", torch.tensor([by_colour, by_shape]))
        emit("follows_colour", by_colour)
        emit("follows_shape", by_shape)
        emit("group_error_mass", 100 - look.accuracy(self._answers(train.x), train.y))
        share = float(train.y.double().mean())
        emit("majority", 100 * max(share, 1 - share))

    @torch.no_grad()
    def show_filters(self) -> None:
        """The first layer's filters that weigh most in the second; the session calls it isolated."""
        first, second = self.network.inside[0], self.network.inside[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        emit("filters", look.filters(first.weight, second.weight.norm(dim=0) * first.weight.norm(dim=1)))


def train(config: Bonsai, session: SessionProtocol) -> None:
    """Train through all stages."""
    total = config.length
    experiment = Experiment(config, session)
    for step in session.steps(total):
        experiment.step(step, total - 1)
