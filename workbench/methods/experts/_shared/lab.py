"""The training loop of the byte-level mixture of experts; an experiment says what is balanced, routed and shown."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.cards.protocols import SessionProtocol
from workbench.data.domains import described, load_domains
from workbench.methods.experts._shared import balance, measures
from workbench.methods.experts._shared.knobs import ExpertsConfig
from workbench.methods.experts._shared.text import Batch, draw, validation
from workbench.models.moe_gpt import MoEGPT, Output, Routing, Shape, TopK
from workbench.models.optim import make_optimizer
from workbench.signals import emit, tokens

SHOWN_BYTES = 256  # of validation text, coloured by expert


class Lab:
    """One model, its text and its optimiser. A method subclasses it and overrides what it changes.

    `network` is what trains at the moment (an experiment that grows one from another swaps it); everything that moves
    is registered, so that a run goes on bit for bit from anywhere.
    """

    network: MoEGPT

    def __init__(self, config: ExpertsConfig, session: SessionProtocol) -> None:
        self.config, self.session = config, session
        self.domains = load_domains(config.domains)
        self.network = self.build()
        self.looks = validation(self.domains, config.eval_sequences, config.length)
        self.deaths = measures.Deaths()
        self.optimizer = make_optimizer(config.optimizer, self.groups())
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.pace)
        session.register(**self.registered())
        self.guard = session.guard()

    # -- what a method may change -------------------------------------------------------------------------------------

    def shape(self) -> Shape:
        """The model's sizes, from the configuration."""
        c = self.config
        return Shape(
            width=c.width, heads=c.heads, layers=c.layers, length=c.length, experts=c.experts, hidden=c.hidden,
            top_k=c.top_k,
        )  # fmt: skip

    def router(self, layer: int) -> nn.Module:
        """A new router for that layer."""
        c = self.config
        return TopK(c.width, c.experts, c.top_k, std=c.router_std)

    def build(self) -> MoEGPT:
        """The initial model, a function of the seed and the launch settings."""
        return self.seeded("network", lambda: MoEGPT(self.shape(), self.router))

    def groups(self) -> Any:
        """Parameters or parameter groups of the optimiser."""
        return self.network.parameters()

    def registered(self) -> dict[str, Any]:
        """What is steered and kept in checkpoints, by name."""
        return {
            "model": self.network, "optimizer": self.optimizer, "schedule": self.schedule, "deaths": self.deaths,
        }  # fmt: skip

    def pace(self, step: int) -> float:
        """The schedule: 50 steps of warm-up, then a cosine down to a tenth at the last step."""
        return cosine(step, self.config.steps, self.config.warmup)

    def draw(self, step: int) -> Batch:
        """The training batch of a step."""
        return draw(self.domains, self.session.rng("data", step), self.config.batch_size, self.config.length)

    def forward(self, batch: Batch) -> Output:
        """The network in force on a batch."""
        output: Output = self.network(batch.inputs)
        return output

    def auxiliary(self, routings: list[Routing]) -> Tensor:
        """What is minimised beside the cross-entropy, a scalar: here global balancing and the z-loss."""
        return self.per_layer(routings, lambda r: balance.load_balancing(r, 1))

    def update(self, loss: Tensor) -> None:
        """Backward, clip, step."""
        self.optimizer.zero_grad()
        loss.backward()
        emit("grad_norm", nn.utils.clip_grad_norm_(self.network.parameters(), self.config.grad_clip))
        self.optimizer.step()
        self.schedule.step()

    def learned(self, ce: Tensor) -> None:
        """With the training batch's cross-entropy, a scalar, before the optimiser's step: shown in another way."""

    def after(self, routings: list[Routing], batch: Batch) -> None:
        """Behind the optimiser's step: where selection biases move, and more is shown."""

    # -- the loop -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One batch."""
        c = self.config
        if not self.session.step:
            emit("found", described(self.domains))
        if self.session.step % c.eval_every == 0:
            with self.session.isolated():
                self.look(self.looks)
        batch = self.draw(self.session.step)
        batch = Batch(*self.guard.batch((batch.tokens, batch.domain, self.session.step)))
        output = self.forward(batch)
        ce = cross_entropy(output, batch)
        loss = ce + self.auxiliary(output.routings) if output.routings else ce
        go = self.guard.passes(ce)
        if go and not torch.isfinite(loss):
            raise InvalidValue(
                f"The loss of step {self.session.step} is {float(loss.detach())}: the router's logits or the weights "
                "are no numbers any more. Go back to a checkpoint and lower the learning rate."
            )
        emit("lr", self.optimizer.param_groups[0]["lr"])
        self.learned(ce)
        if go:
            self.update(loss)
        else:
            self.schedule.step()  # it counts batches, not updates
        emit("ce", ce)
        emit("loss", loss)
        if output.routings:
            self.show(output.routings, batch)
        if go:
            self.after(output.routings, batch)

    def per_layer(self, routings: list[Routing], rule: Any) -> Tensor:
        """alpha times a loss of each layer's routing, and the z-loss, means over layers."""
        c = self.config
        terms = []
        for routing in routings:
            term = c.alpha * rule(routing) if c.alpha else routing.logits.new_zeros(())
            terms.append(term + c.z_coef * balance.z_loss(routing.logits) if c.z_coef else term)
        return torch.stack(terms).mean()

    def seeded(self, name: str, build: Any) -> Any:
        """What `build()` makes of torch's global generator, as a function of (seed, name) alone."""
        seed = int(self.session.rng("init", name).integers(2**62))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build()

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def show(self, routings: list[Routing], batch: Batch) -> None:
        """Emit what the routings of a training step look like."""
        of_domain = measures.stacked_slots(routings, batch.of_token, len(self.domains))
        load, load_domain = measures.shares(of_domain.sum(1)), measures.shares(of_domain)
        violation, dead = measures.max_violation(load), self.deaths.update(load)
        special = measures.specialisation(load_domain)
        logits = torch.stack([r.logits.detach() for r in routings])
        probabilities = torch.stack([r.probabilities.detach() for r in routings])
        experts = load.shape[-1]
        emit("load", load)
        emit("load_domain", load_domain)
        emit("max_violation", violation)
        emit("worst_violation", violation.max())
        emit("dead", dead)
        emit("dead_experts", dead.sum())
        emit("load_entropy", measures.entropy(load) / math.log(experts))
        emit("router_entropy", measures.entropy(probabilities).mean(1) / math.log(experts))
        emit("specialisation", special)
        emit("mean_specialisation", special.mean())
        emit("router_logit_max", logits.abs().amax((1, 2)))
        emit("z_loss", logits.logsumexp(-1).square().mean(1))
        emit("lbl", (experts * load * probabilities.mean(1)).sum(-1).mean())
        if all(r.chosen is not None for r in routings):
            both = [measures.conditional(measures.together(r.chosen, experts)) for r in routings]  # type: ignore[arg-type]
            emit("coactivation", torch.stack([b - torch.diag(b.diagonal()) for b in both]))

    @torch.no_grad()
    def look(self, batch: Batch) -> None:
        """Validation text: loss by domain, loads, and where each byte of a stretch goes."""
        output = self.forward(batch)
        losses = F.cross_entropy(output.logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
        by_domain = torch.stack([losses[batch.of_token == d].mean() for d in range(len(self.domains))])
        emit("valid_ce", by_domain.mean())
        emit("bpb", by_domain / math.log(2))
        if not output.routings:
            return
        load = measures.shares(measures.stacked_slots(output.routings, batch.of_token, len(self.domains)))
        emit("valid_load_domain", load)
        emit("valid_specialisation", measures.specialisation(load).mean())
        emit("text", self.coloured(batch, output.routings))

    def coloured(self, batch: Batch, routings: list[Routing]) -> str:
        """A stretch of each domain's text with the expert that each byte went to first, in every layer."""
        length, each = batch.inputs.shape[1], len(batch.domain) // len(self.domains)
        sequences = [d * each + i for d in range(len(self.domains)) for i in range(self.shown_sequences(length))]
        rows = torch.cat([torch.arange(s * length, (s + 1) * length) for s in sequences])
        first = torch.stack([self.first_choice(r)[rows] for r in routings])
        read = [bytes([b]).decode(errors="surrogateescape") for b in batch.inputs.flatten()[rows].tolist()]
        return tokens(read, first.numpy(), self.categories())

    def shown_sequences(self, length: int) -> int:
        """Of each domain in the coloured stretch."""
        return max(1, SHOWN_BYTES // (len(self.domains) * length))

    def first_choice(self, routing: Routing) -> Tensor:
        """The category of each token in the coloured text, (T,) int64: its first expert."""
        assert routing.chosen is not None
        return routing.chosen[:, 0]

    def categories(self) -> list[str]:
        """Names of the categories of the coloured text."""
        return [f"expert {e + 1}" for e in range(self.config.experts)]


def cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the learning rate at a step: up to 1 over the warm-up, then along a cosine to a tenth at the end."""
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def cross_entropy(output: Output, batch: Batch) -> Tensor:
    """Mean over the batch's bytes, nats."""
    return F.cross_entropy(output.logits.flatten(0, 1), batch.targets.flatten())


def run(lab: Lab) -> None:
    """Train to the end, then look at more validation text."""
    config, session = lab.config, lab.session
    for _ in session.steps(config.steps):
        lab.step()
    with session.isolated():
        lab.look(validation(lab.domains, config.last_sequences, config.length))
