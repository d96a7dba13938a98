"""A dense network, and the experts that it is cut into."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import growing, measures
from workbench.methods.experts._shared.lab import run
from workbench.methods.experts._shared.staged import Staged
from workbench.methods.experts._shared.text import Batch
from workbench.methods.experts.granular import coselection
from workbench.methods.experts.granular.knobs import Granular
from workbench.models.moe_gpt import MoEGPT, Routing, Shape
from workbench.signals import emit


class Experiment(Staged):
    """The dense stage, then the experts."""

    config: Granular

    def stages(self) -> dict[str, nn.Module]:
        """The dense network and, unless it goes on, the mixture."""
        shape = self.shape()
        dense_shape = replace(shape, experts=1, top_k=1, hidden=self.config.hidden)
        dense = self.seeded("network", lambda: MoEGPT(dense_shape))
        if self.config.then == "dense":
            return {"dense": dense}
        return {"dense": dense, "experts": self.seeded("experts", lambda: MoEGPT(shape, self.router))}

    def shape(self) -> Shape:
        """The mixture's sizes."""
        c = self.config
        return Shape(
            width=c.width, heads=c.heads, layers=c.layers, length=c.length, experts=c.experts,
            hidden=c.hidden // c.granularity, top_k=c.chosen,
        )  # fmt: skip

    def router(self, layer: int) -> nn.Module:
        """A new router for that layer, its rows drawn by slice."""
        c = self.config
        return growing.Summed(
            c.width, c.experts, c.chosen, total=c.granularity, std=c.router_std,
            renormalise=c.weights == "renormalised",
        )  # fmt: skip

    def groups(self) -> Any:
        """Routers stand in a group of their own, the last."""
        parameters = [pair for network in self.networks.values() for pair in network.named_parameters()]
        routers = [p for name, p in parameters if ".router." in name]
        others = [{"params": [p for name, p in parameters if ".router." not in name]}]
        return [*others, {"params": routers}] if routers else others

    def borders(self) -> tuple[int, ...]:
        """One, unless the dense network goes on."""
        return (self.config.dense_steps,) if self.config.then == "experts" else ()

    @torch.no_grad()
    def hand_over(self, stage: str) -> None:
        """Cut the dense network."""
        c = self.config
        dense, mixture = self.networks["dense"], self.networks["experts"]
        assert isinstance(dense, MoEGPT)
        assert isinstance(mixture, MoEGPT)
        growing.carry_over(dense, mixture)
        generator = self.session.torch_rng("method", "symmetry")
        for old, new in zip(dense.blocks, mixture.blocks, strict=True):
            growing.fill_experts(new.moe.experts, old.moe.experts, c.granularity)  # type: ignore[union-attr, arg-type]
            growing.disturb(new.moe.experts, c.break_symmetry, generator)  # type: ignore[union-attr, arg-type]
            rows = new.moe.router.weight  # type: ignore[union-attr]
            if c.router_init == "grouped":
                rows.copy_(growing.grouped_rows(rows[:: c.granularity], c.granularity))  # type: ignore[operator, index]
            elif c.router_init == "zeros":
                rows.zero_()  # type: ignore[operator]

    def compare(self, before: float, after: float) -> None:
        """The jump at the border."""
        emit("upcycle_jump", after - before)
        emit("subnets", math.log10(math.comb(self.config.experts, self.config.chosen)))

    def update(self, loss: Tensor) -> None:
        """The usual step, with the routers' rate multiplied; the schedule sets rates anew behind each step."""
        if self.config.then == "experts":
            self.optimizer.param_groups[-1]["lr"] *= self.config.router_lr_mult
        super().update(loss)

    def after(self, routings: list[Routing], batch: Batch) -> None:
        """How far a byte's experts are still one copy."""
        if routings:
            share = torch.stack([coselection.one_copy(_chosen(r), self.config.granularity) for r in routings])
            emit("one_copy", share)
            emit("mean_one_copy", share.mean())

    @torch.no_grad()
    def look(self, batch: Batch) -> None:
        """Besides: who is chosen with whom on validation text."""
        super().look(batch)
        if self.stage == "dense":
            return
        routings = self.forward(batch).routings
        chosen = [_chosen(r) for r in routings]
        both = [measures.together(c, self.config.experts) for c in chosen]
        lifts = torch.stack([measures.lift(b, len(c)) for b, c in zip(both, chosen, strict=True)])
        conditional = [measures.conditional(b) for b in both]
        off = 1 - torch.eye(self.config.experts)
        used = [b.diagonal() > 0 for b in both]
        emit("lift", lifts * off)
        emit("strong_pairs", lifts * off * (lifts > 2))
        emit("jaccard", torch.stack([measures.jaccard(b) for b in both]) * off)
        emit("partners", torch.stack([coselection.partners(p, self.config.chosen) for p in conditional]))
        emit("partner_entropy", torch.stack([coselection.partner_entropy(p) for p in conditional]))
        spreads = [coselection.lift_spread(x, u) for x, u in zip(lifts, used, strict=True)]
        emit("lift_spread", torch.stack(spreads).max())


def _chosen(routing: Routing) -> Tensor:
    assert routing.chosen is not None
    return routing.chosen


def train(config: Granular, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
