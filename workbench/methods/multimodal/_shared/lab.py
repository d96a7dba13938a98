"""The training loop of two modalities: a fused network under a strategy and, beside it, each modality alone.

The two networks alone begin with the same encoders, see the same batches, noise and gains, and have the same optimiser:
what a modality could do is measured at every moment of the run, not assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.protocols import SessionProtocol
from workbench.methods.multimodal._shared import measures, pairs
from workbench.methods.multimodal._shared.knobs import MultimodalConfig
from workbench.methods.multimodal._shared.network import (
    MODALITIES,
    Alone,
    Outputs,
    TwoModalities,
    check_batch,
    flat_gradient,
)
from workbench.methods.multimodal._shared.strategy import InForce, Lookout
from workbench.models.optim import make_optimizer
from workbench.signals import emit


class Place:
    """Where in which epoch the run stands; register it. The order of an epoch is a function of (seed, epoch)."""

    def __init__(self, samples: int, session: SessionProtocol) -> None:
        self.samples, self.session = samples, session
        self.epoch, self.start = -1, samples

    def over(self) -> bool:
        """Whether no batch of two samples is left."""
        return self.samples - self.start < 2

    def turn(self) -> None:
        """To the next epoch."""
        self.epoch, self.start = self.epoch + 1, 0

    def next(self, size: int) -> Tensor:
        """Rows of the next batch."""
        order: np.ndarray = self.session.rng("data", "order", self.epoch).permutation(self.samples)
        rows = order[self.start : self.start + size]
        self.start += len(rows)
        return torch.from_numpy(rows)

    def state_dict(self) -> dict[str, int]:
        """Plain data."""
        return {"epoch": self.epoch, "start": self.start}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from there."""
        self.epoch, self.start = state["epoch"], state["start"]


class Lab:
    """Everything that trains, registered, so that a run goes on bit for bit from anywhere."""

    def __init__(self, config: MultimodalConfig, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.pair = pairs.load(config.pair, config.n_train, config.blend_samples, session.rng("data", "split"))
        self.network, self.alone = self._build()
        self.optimizer = self._make([*self.network.parameters(), *self.alone.parameters()])
        self.strategy = InForce(config)
        self.place = Place(len(self.pair.train), session)
        session.register(
            model=self.network, alone=self.alone, optimizer=self.optimizer, strategy=self.strategy, place=self.place
        )
        session.probe("missing", self.look_at_missing)

    def _build(self) -> tuple[TwoModalities, Alone]:
        """Initial networks, a function of the seed and the launch settings."""
        c, train = self.config, self.pair.train
        seed = int(self.session.rng("init", "network").integers(2**62))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            shapes = (tuple(train.a.shape[1:]), tuple(train.v.shape[1:]))
            network = TwoModalities(shapes, self.pair.classes, width=c.hidden, fusion=c.fusion)
            return network, Alone(network, c.hidden, self.pair.classes)

    def _make(self, parameters: Any) -> torch.optim.Optimizer:
        return make_optimizer(self.config.optimizer, parameters)

    # -- training -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One batch."""
        c, place = self.config, self.place
        if place.over():
            self.session.stage("epoch", place.epoch + 1)
            place.turn()
            self.strategy.begin(c.method, place.epoch, Lookout(self.network, self.pair, self._make, self.session.rng))
        rows = place.next(c.batch_size)
        a, v = self.pair.train.inputs(c, rows)
        y = self.pair.train.y[rows]
        check_batch(a, v, y)
        strategy = self.strategy.now
        out = self.network.outputs(strategy.scale_features(self.network, self.network.features(a, v)), y)
        loss = strategy.loss(out)
        if self.session.step % c.eval_every == 0:
            self._show_directions(out)
        strategy.before_backward(self.network, out)
        self.optimizer.zero_grad()
        loss.backward()
        for m in MODALITIES:
            emit(f"grad_norm_{m}", norm(self.network.parameters_of(m)))
        strategy.after_backward(self.network, out)
        nn.utils.clip_grad_norm_(self.network.parameters(), c.grad_clip)
        torch.stack([F.cross_entropy(z, y) for z in self.alone(a, v)]).sum().backward()
        self._show(out, loss)
        self.optimizer.step()

    # -- looking ------------------------------------------------------------------------------------------------------

    def _show(self, out: Outputs, loss: Tensor) -> None:
        """What the training batch tells, before the optimiser's step."""
        with torch.no_grad():
            halves = self.network.fusion.halves(*out.features)
        emit("epoch", self.place.epoch)
        emit("loss", loss)
        for name, value in zip(("fused", *MODALITIES), out.losses, strict=True):
            emit(f"loss_{name}", value)
        emit("rho", measures.discrepancy(*halves, out.y))
        shares = measures.dependence(*out.readouts)
        entropies = [measures.entropy(z) for z in out.readouts]
        target = measures.inverse_variance(*entropies)
        for m, z, share, entropy, factor in zip(
            MODALITIES, out.readouts, shares, entropies, self.strategy.now.coefficients, strict=True
        ):
            emit(f"confidence_{m}", measures.confidence(z, out.y))
            emit(f"dependence_{m}", share)
            emit(f"entropy_{m}", entropy)
            emit(f"coefficient_{m}", factor)
        emit("target_a", target[0])
        emit("loss_weights", torch.tensor(self.strategy.now.weights))

    def _show_directions(self, out: Outputs) -> None:
        """Whether the joint and the unimodal loss pull an encoder the same way, on the training batch."""
        for m, own in zip(MODALITIES, out.losses[1:], strict=True):
            parameters = self.network.parameters_of(m)
            joint, alone = (flat_gradient(loss, parameters) for loss in (out.losses[0], own))
            emit(f"cos_joint_uni_{m}", measures.cosine(joint, alone))

    @torch.no_grad()
    def look(self) -> None:
        """Test samples: accuracy fused, by each read-out and of each modality trained alone; who is depended upon."""
        part = self.pair.test
        a, v = part.inputs(self.config)
        out = self.network.outputs(self.network.features(a, v), part.y)
        emit("acc_fused", measures.accuracy(out.logits, part.y))
        for m, read, alone in zip(MODALITIES, out.readouts, self.alone(a, v), strict=True):
            own, could = measures.accuracy(read, part.y), measures.accuracy(alone, part.y)
            emit(f"acc_{m}", own)
            emit(f"solo_{m}", could)
            emit(f"underuse_{m}", could - own)
        share = measures.dependence(*out.readouts)[0]
        target = measures.inverse_variance(*(measures.entropy(z) for z in out.readouts))[0]
        emit("test_dependence_a", share)
        emit("test_target_a", target)
        emit("arl_mismatch", measures.mismatch(share, target))

    @torch.no_grad()
    def look_at_missing(self) -> None:
        """Test accuracy with each modality missing: its features at 0, or its input at the training mean."""
        part = self.pair.test
        a, v = part.inputs(self.config)
        means = [x.mean(0, keepdim=True) for x in self.pair.train.inputs(self.config)]
        fa, fv = self.network.features(a, v)
        ma, mv = self.network.features(means[0].expand_as(a), means[1].expand_as(v))
        fills = ((torch.zeros_like(fa), torch.zeros_like(fv)), (ma, mv))
        table = [[measures.accuracy(self.network.fusion(*f), part.y) for f in ((fa, fv), (fa, nv), (na, fv))]
                 for na, nv in fills]  # fmt: skip
        emit("missing", torch.tensor(table).T)
        both, only_a, only_v = table[1]
        for m, value in zip(MODALITIES, measures.shapley(both, only_a, only_v), strict=True):
            emit(f"shapley_{m}", value)


def norm(parameters: list[nn.Parameter]) -> Tensor:
    """Euclidean norm of the parameters' gradients; 0 where there are none."""
    found = [p.grad.norm() for p in parameters if p.grad is not None]
    return torch.stack(found).norm() if found else torch.zeros(())


def run(lab: Lab) -> None:
    """Train to the end; look every few steps and behind the last."""
    config, session = lab.config, lab.session
    for step in session.steps(config.steps):
        if step == 0:
            emit("modalities", f"{config.pair}: a is {lab.pair.a}, v is {lab.pair.v}; {lab.pair.classes} classes")
        lab.step()
        if step % config.eval_every == 0 or step == config.steps - 1:
            with session.isolated():
                lab.look()
        if step == config.steps - 1:
            with session.isolated():
                lab.look_at_missing()
