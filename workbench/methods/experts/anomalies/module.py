"""The model under injected anomalies, with all that Ling's report holds against them."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared.lab import Lab, run
from workbench.methods.experts._shared.text import Batch
from workbench.methods.experts.anomalies.knobs import KINDS, Anomalies
from workbench.methods.experts.anomalies.plan import Plan
from workbench.methods.experts.anomalies.shown import EDGES
from workbench.methods.experts.anomalies.warmup import WarmRouter
from workbench.models.moe_gpt import Output, Shape
from workbench.signals import emit, histogram

NOISE, WIDE, MOMENTS, GRADIENT = (KINDS.index(k) for k in ("noise", "wide", "moments", "gradient"))
NOISY = (NOISE, WIDE)
SHRUNK, GROWN = 0.01, 50.0  # second moments, gradients


class Experiment(Lab):
    """The laboratory with a plan of anomalies."""

    config: Anomalies

    def __init__(self, config: Anomalies, session: SessionProtocol) -> None:
        self.plan = Plan(lambda *keys: session.rng("method", "anomalies", *keys))
        super().__init__(config, session)
        session.action("inject_narrow", lambda: self.plan.add("noise", session.step))
        session.action("inject_wide", lambda: self.plan.add("wide", session.step))

    def shape(self) -> Shape:
        """See `Lab.shape`."""
        return dataclasses.replace(super().shape(), norm_head=self.config.norm_head)

    def router(self, layer: int) -> nn.Module:
        """See `Lab.router`."""
        c = self.config
        return WarmRouter(c.width, c.experts, c.top_k, std=c.router_std)

    def registered(self) -> dict[str, object]:
        """See `Lab.registered`."""
        return super().registered() | {"anomalies": self.plan}

    def draw(self, step: int) -> Batch:
        """The step's batch, or random bytes in its place."""
        batch = super().draw(step)
        if self.plan.at(step, self.config.every, self.config.inject) not in NOISY:
            return batch
        noise = self.session.rng("method", "noise", step).integers(0, 256, batch.tokens.shape)
        return Batch(torch.from_numpy(noise), batch.domain)

    def forward(self, batch: Batch) -> Output:
        """See `Lab.forward`; in training it also sets the routers, and tells what the batch is."""
        if self.network.training:
            step, length = self.session.step, self.config.router_warmup
            for layer, router in enumerate(self.network.routers):
                assert isinstance(router, WarmRouter)
                router.alpha = min(step / length, 1.0) if length else 1.0
                router.generator = self.session.torch_rng("method", "warmup", step, layer)
            of_batch, of_update = self.plan.of(batch.step), self.plan.of(step)
            self.noisy = of_batch in NOISY
            emit("injected", of_batch if self.noisy else of_update if of_update not in NOISY else 0)
            emit("drawn_for", batch.step)
            emit("spike_limit", self.config.guard.spike_z)
        return super().forward(batch)

    def learned(self, ce: Tensor) -> None:
        """See `Lab.learned`: on text alone, and what moves beside it whether or not there is an update."""
        super().learned(ce)
        if not self.noisy:
            emit("text_ce", ce)
        norms = self.network.embedding.weight.detach().norm(dim=0)
        emit("head_norm", norms.mean())
        emit("head_norm_max", norms.max())
        if self.session.step % self.config.eval_every == 0:
            emit("head_norms", histogram(norms.numpy(), *EDGES))
        emit("param_drift", 0.0)

    def update(self, loss: Tensor) -> None:
        """See `Lab.update`, with what is injected into gradient and optimizer."""
        kind, parameters = self.plan.of(self.session.step), list(self.network.parameters())
        before = [p.detach().clone() for p in parameters]
        self.optimizer.zero_grad()
        loss.backward()
        if kind == GRADIENT:
            for p in parameters:
                if p.grad is not None:
                    p.grad.mul_(GROWN)
        if kind == MOMENTS:
            for state in self.optimizer.state.values():
                state["exp_avg_sq"].mul_(SHRUNK)
        emit("grad_norm", nn.utils.clip_grad_norm_(parameters, self.config.grad_clip or math.inf))
        self.optimizer.step()
        self.schedule.step()
        moved = nn.utils.get_total_norm([p.detach() - b for p, b in zip(parameters, before, strict=True)])
        emit("param_drift", moved / nn.utils.get_total_norm(before))


def train(config: Anomalies, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
