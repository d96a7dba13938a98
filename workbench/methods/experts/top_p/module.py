"""Specialists, the mixture that is made of them, and mixtures that are trained from the start."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import growing
from workbench.methods.experts._shared.lab import cosine, cross_entropy, run
from workbench.methods.experts._shared.staged import Staged, flops
from workbench.methods.experts._shared.text import Batch, draw
from workbench.methods.experts.top_p.knobs import TopPConfig
from workbench.methods.experts.top_p.mixer import Mixed, TopP, WithShared, balance_loss
from workbench.methods.experts.top_p.plan import Plan
from workbench.methods.experts.top_p.uneven import cut, unequal
from workbench.models.moe_gpt import Block, Experts, MoEGPT, Output, Routing, Shape
from workbench.models.optim import make_optimizer
from workbench.signals import emit


class Experiment(Staged):
    """The curriculum, or a mixture from the start with the specialists beside it."""

    config: TopPConfig

    def __init__(self, config: TopPConfig, session: SessionProtocol) -> None:
        self.generator = session.torch_rng("method", "mixer", 0)
        self.plan = Plan(config)
        self.joint = config.recipe != "curriculum"
        self.routed = 0.0  # experts that ran for a byte of the last batch, shared ones not counted
        super().__init__(config, session)

    # -- the networks -------------------------------------------------------------------------------------------------

    def stages(self) -> dict[str, nn.Module]:
        """The base, a specialist a domain and the mixture, which trains in two stages; or the mixture alone."""
        self.domains = unequal(self.domains, self.config.imbalance)
        dense = self.sized(1)
        self.dense: dict[str, MoEGPT] = {n: self.seeded("network", lambda: MoEGPT(dense)) for n in self.order()}
        mixture = self.seeded("mixture", self.mixture)
        if self.joint:
            return {"everything": mixture}
        return {**self.dense, "gate": mixture, "everything": mixture}

    def order(self) -> list[str]:
        """The dense networks in the order of their training."""
        return ["base", *(d.name for d in self.domains)]

    def sized(self, experts: int) -> Shape:
        """The sizes of a dense network (one expert) or of the mixture."""
        c = self.config
        return Shape(
            width=c.width, heads=c.heads, layers=c.layers, length=c.length, hidden=c.hidden, experts=experts, top_k=1
        )

    def mixture(self) -> MoEGPT:
        """A new mixture with its null and shared experts."""
        c = self.config

        def router(_layer: int) -> nn.Module:
            return TopP(c.width, c.experts, c.n_null, c.n_shared, c, lambda: self.generator, std=c.router_std)

        network = MoEGPT(self.sized(c.experts), router)
        for block in blocks(network):
            shared = Experts(c.n_shared, c.width, c.hidden) if c.n_shared else None
            block.moe = WithShared(block.moe.experts, block.moe.router, shared)  # type: ignore[arg-type]
        return network

    def groups(self) -> Any:
        """Every network once."""
        networks = {id(n): n for n in self.networks.values()}
        return [{"params": list(network.parameters())} for network in networks.values()]

    def registered(self) -> dict[str, Any]:
        """See `Staged.registered`; specialists beside the mixture have an optimiser of their own."""
        found = {n: o for n, o in super().registered().items() if n != "gate"} | {"plan": self.plan}
        if not self.joint:
            return found
        self.beside = make_optimizer(self.config.optimizer, [p for n in self.dense.values() for p in n.parameters()])
        return {**found, **self.dense, "beside": self.beside}

    # -- the stages ---------------------------------------------------------------------------------------------------

    def borders(self) -> tuple[int, ...]:
        """See `Staged.borders`."""
        return () if self.joint else self.plan.borders

    def pace(self, step: int) -> float:
        """The plan's, or one warm-up and one cosine."""
        return cosine(step, self.config.steps, self.config.warmup) if self.joint else self.plan.pace(step)

    def hand_over(self, stage: str) -> None:
        """A specialist starts from the base; the mixture is made of the specialists."""
        self.plan.began.append(self.session.step)
        if stage in self.dense:
            self.dense[stage].load_state_dict(self.dense["base"].state_dict())
        elif stage == "gate":
            self.compose()

    @torch.no_grad()
    def compose(self) -> None:
        """Routed expert i is specialist i mod D's feed-forward network; shared ones and all else are the mean."""
        specialists = [self.dense[d.name] for d in self.domains]
        mean = copy.deepcopy(specialists[0])
        growing.average(specialists, mean)
        mixture = self.networks["everything"]
        assert isinstance(mixture, MoEGPT)
        growing.carry_over(mean, mixture)
        for at, block in enumerate(blocks(mixture)):
            moe = block.moe
            assert isinstance(moe, WithShared)
            for name in ("up", "down"):
                into = getattr(moe.experts, name)
                for expert in range(moe.experts.number):
                    of = blocks(specialists[expert % len(specialists)])[at]
                    into[expert] = getattr(of.moe.experts, name)[0]
            if moe.shared is not None:
                growing.fill_experts(moe.shared, blocks(mean)[at].moe.experts)

    def draw(self, step: int) -> Batch:
        """The batch of the network in force."""
        if self.joint:
            return self.text(step, balanced=self.config.recipe == "balanced")
        if self.stage in self.dense:
            return self.dense_text(step, self.stage)
        return self.text(step, balanced=True, small=self.stage == "gate")

    def dense_text(self, step: int, name: str) -> Batch:
        """A batch for a dense network: of its domain, or of all as large as they are."""
        if name == "base":
            return self.text(step, balanced=False)
        c, names = self.config, [d.name for d in self.domains]
        return draw(self.domains, self.session.rng("data", step), c.batch_size, c.length, pure=names.index(name))

    def text(self, step: int, *, balanced: bool, small: bool = False) -> Batch:
        """A batch of all domains; `small`: from as many bytes of each as the smallest has."""
        c, rng, sizes = self.config, self.session.rng("data", step), [len(d.train) for d in self.domains]
        shares = None if balanced else [n / sum(sizes) for n in sizes]
        domains = [cut(d, min(sizes)) for d in self.domains] if small else self.domains
        return draw(domains, rng, c.batch_size, c.length, shares=shares)

    # -- training -----------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch) -> Output:
        """See `Lab.forward`; while the gate learns alone, the rest of the mixture stands still."""
        frozen = self.stage == "gate" and self.config.freeze_experts_in_warmup
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(not frozen or ".router." in name or ".shared." in name)
        return super().forward(batch)

    def step(self) -> None:
        """One batch, and beside a mixture from the start one for the specialists."""
        step = self.session.step
        self.generator = self.session.torch_rng("method", "mixer", step)
        teaching = self.joint and step < self.plan.mixed
        if teaching and step == self.plan.next:
            self.session.stage("training", len(self.plan.began))
            self.hand_over(self.order()[len(self.plan.began)])
        super().step()
        if teaching:
            self.teach(step)

    def teach(self, step: int) -> None:
        """The step that the curriculum would take with a dense network."""
        name = self.order()[len(self.plan.began) - 1]
        network = self.dense[name]
        for group in self.beside.param_groups:
            group["lr"] = self.config.optimizer.lr * self.plan.pace(step)
        batch = self.dense_text(step, name)
        self.beside.zero_grad()
        cross_entropy(network(batch.inputs), batch).backward()
        nn.utils.clip_grad_norm_(network.parameters(), self.config.grad_clip)
        self.beside.step()

    def auxiliary(self, routings: list[Routing]) -> Tensor:
        """The balancing loss over null experts, too, and the z-loss."""
        return self.per_layer(routings, lambda r: balance_loss(r.logits, r.taken))

    def cost(self) -> float:
        """Operations of a batch: shared experts always run, null ones never."""
        c = self.config
        share = self.routed / c.experts if self.network.routers else 1.0
        return flops(self.network, c.batch_size * c.length, share)

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def show(self, routings: list[Routing], batch: Batch) -> None:
        """See `Lab.show`; besides, how many experts run."""
        super().show(routings, batch)
        c = self.config
        number = torch.stack([_numbers(r) for r in routings]).float().mean()
        counts = torch.stack([r.counts for r in routings]).sum(0)
        null = counts[c.experts :].sum() / counts.sum()
        self.routed = float(number * (1 - null))
        emit("number", number)
        emit("null_share", null)
        emit("active", self.routed + c.n_shared)
        emit("use", counts / counts.sum())

    @torch.no_grad()
    def look(self, batch: Batch) -> None:
        """Besides: numbers of experts by domain, and how the mixture compares with the specialists."""
        super().look(batch)
        if self.stage in self.dense:
            return
        c, output = self.config, self.forward(batch)
        kinds, most = range(len(self.domains)), c.experts + c.n_null
        numbers = torch.stack([_numbers(r) for r in output.routings])
        mine = [numbers[:, batch.of_token == d].flatten() for d in kinds]
        emit("numbers", torch.stack([torch.bincount(m, minlength=most + 1)[1:] / len(m) for m in mine]))
        emit("domain_number", torch.stack([m.float().mean() for m in mine]))
        emit("null_domain", torch.stack([_null(output.routings, batch.of_token == d, c.experts) for d in kinds]))
        if self.session.step >= self.plan.mixed:
            own = self.levels(batch)
            losses = F.cross_entropy(output.logits.flatten(0, 1), batch.targets.flatten(), reduction="none")
            gained = own - torch.stack([losses[batch.of_token == d].mean() for d in kinds])
            emit("specialist_bpb", own / math.log(2))
            emit("synergy", gained)
            emit("mean_synergy", gained.mean())
            emit("worst_synergy", gained.min())

    def levels(self, batch: Batch) -> Tensor:
        """The loss of each specialist on its own domain's part of a batch, nats, (D,)."""
        found = []
        for d, domain in enumerate(self.domains):
            own = batch.domain == d
            part = Batch(batch.tokens[own], batch.domain[own])
            found.append(cross_entropy(self.dense[domain.name](part.inputs), part))
        return torch.stack(found)

    def first_choice(self, routing: Routing) -> Tensor:
        """The category of each byte in the coloured text: how many experts it takes."""
        return _numbers(routing) - 1

    def categories(self) -> list[str]:
        """Names of the categories."""
        return [f"{k} expert{'s' if k > 1 else ''}" for k in range(1, self.config.experts + self.config.n_null + 1)]


def blocks(network: MoEGPT) -> list[Block]:
    """The network's blocks."""
    return list(network.blocks)  # type: ignore[arg-type]


def _numbers(routing: Routing) -> Tensor:
    assert isinstance(routing, Mixed)
    return routing.numbers


def _null(routings: list[Routing], rows: Tensor, experts: int) -> Tensor:
    """The share of null experts among the choices of some tokens, all layers."""
    taken = torch.stack([r.taken[rows] for r in routings])  # type: ignore[attr-defined]
    return taken[..., experts:].sum() / taken.sum()


def train(config: TopPConfig, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
