"""Specialists, the mixture that is made of them, and mixtures that are trained from the start."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards import InvalidValue
from workbench.cards.protocols import SessionProtocol
from workbench.data.domains import CHUNK, Domain
from workbench.methods.experts._shared import growing
from workbench.methods.experts._shared.lab import cosine, cross_entropy, run
from workbench.methods.experts._shared.staged import Staged
from workbench.methods.experts._shared.text import Batch, draw
from workbench.methods.experts.top_p.knobs import TopPConfig
from workbench.methods.experts.top_p.mixer import Mixed, TopP, WithShared, balance_loss
from workbench.models.moe_gpt import Block, Experts, MoEGPT, Output, Routing, Shape
from workbench.models.optim import make_optimizer
from workbench.signals import emit


def unequal(domains: tuple[Domain, ...], imbalance: float) -> tuple[Domain, ...]:
    """The domains with so many times more training bytes in the first than in the last; the others lie between.

    What is left of a domain are chunks from all over it: its beginning is another kind of text than its end.

    Raises:
        InvalidValue: a domain would be left with too little.
    """
    last = max(1, len(domains) - 1)
    first = len(domains[0].train)
    sizes = [min(len(d.train), int(first * imbalance ** (-i / last))) for i, d in enumerate(domains)]
    if min(sizes) < CHUNK:
        raise InvalidValue(
            f"imbalance leaves the domain {domains[-1].name} with {min(sizes)} bytes; at least {CHUNK} are needed."
        )
    return tuple(dataclasses.replace(d, train=thinned(d.train, n)) for d, n in zip(domains, sizes, strict=True))


def thinned(text: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """About `size` bytes of a text, in chunks of 4,096 at even distances; at least one chunk."""
    chunks = np.linspace(0, len(text) // CHUNK - 1, max(1, round(size / CHUNK))).astype(int)
    return text if size >= len(text) else np.concatenate([text[i * CHUNK : (i + 1) * CHUNK] for i in chunks])


class Experiment(Staged):
    """The curriculum, or a mixture from the start with the specialists beside it."""

    config: TopPConfig

    def __init__(self, config: TopPConfig, session: SessionProtocol) -> None:
        self.generator = session.torch_rng("method", "mixer", 0)
        super().__init__(config, session)

    # -- the networks -------------------------------------------------------------------------------------------------

    def stages(self) -> dict[str, nn.Module]:
        """The base, a specialist a domain and the mixture, which trains in two stages; or the mixture alone."""
        self.domains = unequal(self.domains, self.config.imbalance)
        dense = Shape(**self.sizes(experts=1))
        self.dense: dict[str, MoEGPT] = {n: self.seeded("network", lambda: MoEGPT(dense)) for n in self.order()}
        mixture = self.seeded("mixture", self.mixture)
        if self.config.recipe == "curriculum":
            return {**self.dense, "gate": mixture, "everything": mixture}
        return {"everything": mixture}

    def order(self) -> list[str]:
        """The dense networks in the order of their training."""
        return ["base", *(d.name for d in self.domains)]

    def sizes(self, **changes: Any) -> dict[str, Any]:
        """The model's sizes."""
        c = self.config
        sizes = {"width": c.width, "heads": c.heads, "layers": c.layers, "length": c.length, "hidden": c.hidden}
        return {**sizes, "top_k": 1, **changes}

    def mixture(self) -> MoEGPT:
        """A new mixture with its null and shared experts."""
        c = self.config

        def router(_layer: int) -> nn.Module:
            return TopP(c.width, c.experts, c.n_null, c.n_shared, c, lambda: self.generator, std=c.router_std)

        network = MoEGPT(Shape(**self.sizes(experts=c.experts)), router)
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
        beside = {} if self.config.recipe == "curriculum" else self.dense
        self.reference = make_optimizer(self.config.optimizer, [p for n in self.dense.values() for p in n.parameters()])
        found = {n: o for n, o in super().registered().items() if n != "gate"}
        return {**found, **beside, **({"reference": self.reference} if beside else {})}

    # -- the stages ---------------------------------------------------------------------------------------------------

    def dense_borders(self) -> list[int]:
        """The first step of each specialist."""
        c = self.config
        return [c.base_steps + i * c.specialist_steps for i in range(len(self.domains))]

    def borders(self) -> tuple[int, ...]:
        """See `Staged.borders`."""
        c = self.config
        if c.recipe != "curriculum":
            return ()
        return (*self.dense_borders(), c.dense_steps, c.dense_steps + c.gate_steps)

    def pace(self, step: int) -> float:
        """A warm-up and a cosine for each dense network, and one for the mixture."""
        c = self.config
        if c.recipe != "curriculum":
            return cosine(step, c.steps, c.warmup)
        if step < c.dense_steps:
            return self.dense_pace(step)
        return cosine(step - c.dense_steps, c.steps - c.dense_steps, c.warmup)

    def dense_pace(self, step: int) -> float:
        """That of the dense network whose turn it is."""
        c = self.config
        if step < c.base_steps:
            return cosine(step, c.base_steps, c.warmup)
        return cosine((step - c.base_steps) % c.specialist_steps, c.specialist_steps, c.warmup)

    def hand_over(self, stage: str) -> None:
        """A specialist starts from the base; the mixture is made of the specialists."""
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
        if self.config.recipe != "curriculum":
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
        if balanced:
            least = min(sizes)
            if small:
                return draw([_cut(d, least) for d in self.domains], rng, c.batch_size, c.length)
            return draw(self.domains, rng, c.batch_size, c.length)
        return draw(self.domains, rng, c.batch_size, c.length, shares=[n / sum(sizes) for n in sizes])

    # -- training -----------------------------------------------------------------------------------------------------

    def forward(self, batch: Batch) -> Output:
        """See `Lab.forward`; while the gate learns alone, the rest of the mixture stands still."""
        frozen = self.stage == "gate" and self.config.freeze_experts_in_warmup
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(not frozen or ".router." in name or ".shared." in name)
        return super().forward(batch)

    def step(self) -> None:
        """One batch, and beside a mixture from the start one for the specialists."""
        step, c = self.session.step, self.config
        self.generator = self.session.torch_rng("method", "mixer", step)
        super().step()
        if c.recipe != "curriculum" and step < c.dense_steps:
            self.teach(step)

    def teach(self, step: int) -> None:
        """The step that the curriculum would take with a dense network."""
        at = sum(step >= b for b in self.dense_borders())
        name = self.order()[at]
        network = self.dense[name]
        if step in self.dense_borders():
            network.load_state_dict(self.dense["base"].state_dict())
        for group in self.reference.param_groups:
            group["lr"] = self.config.optimizer.lr * self.dense_pace(step)
        batch = self.dense_text(step, name)
        self.reference.zero_grad()
        cross_entropy(network(batch.inputs), batch).backward()
        nn.utils.clip_grad_norm_(network.parameters(), self.config.grad_clip)
        self.reference.step()

    def auxiliary(self, routings: list[Routing]) -> Tensor:
        """The balancing loss over null experts, too, and the z-loss."""
        return self.per_layer(routings, lambda r: balance_loss(r.logits, r.taken))

    # -- looking ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def after(self, routings: list[Routing], batch: Batch) -> None:
        """How many experts run."""
        if not routings:
            return
        c = self.config
        numbers = torch.stack([_numbers(r) for r in routings]).float()
        counts = torch.stack([r.counts for r in routings]).sum(0)
        null = counts[c.experts :].sum() / counts.sum()
        emit("number", numbers.mean())
        emit("null_share", null)
        emit("active", numbers.mean() * (1 - null) + c.n_shared)
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
        if self.session.step >= c.dense_steps:
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


def _cut(domain: Domain, size: int) -> Domain:
    return dataclasses.replace(domain, train=thinned(domain.train, size))


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
