"""A small network, the grown one, and the experts it becomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import growing
from workbench.methods.experts._shared.lab import run
from workbench.methods.experts._shared.staged import Staged
from workbench.methods.experts._shared.text import Batch
from workbench.methods.experts.upscale.knobs import Upscale
from workbench.models.moe_gpt import MoEGPT, Routing, Shape, TopK
from workbench.signals import emit


class Experiment(Staged):
    """Small, grown, experts; or the last alone."""

    config: Upscale

    def __init__(self, config: Upscale, session: SessionProtocol) -> None:
        self.generator = session.torch_rng("init", "growth")
        self.how = growing.Growth(
            width=growing.axis(config.width, config.grown(config.width), self.generator),
            hidden=growing.axis(config.hidden, config.grown(config.hidden), self.generator),
            heads=growing.axis(config.heads, config.grown(config.heads), self.generator),
            layers=growing.depth_map(config.layers, config.grown_layers, config.depth_rule),
            width_rule=config.width_rule,
            depth_rule=config.depth_rule,
        )
        super().__init__(config, session)

    def stages(self) -> dict[str, nn.Module]:
        """The networks, the last one alone if from scratch."""
        grown, mixture = replace(self.shape(), experts=1, top_k=1), self.shape()
        c = self.config
        small = replace(grown, width=c.width, heads=c.heads, hidden=c.hidden, layers=c.layers)
        made = {"experts": self.seeded("network", lambda: MoEGPT(mixture, self.router))}
        if c.recipe == "scratch":
            return made
        first = self.seeded("small", lambda: MoEGPT(small))
        return {"small": first, "grown": self.seeded("grown", lambda: MoEGPT(grown)), **made}

    def shape(self) -> Shape:
        """The mixture's sizes."""
        c = self.config
        return Shape(
            width=c.grown(c.width), heads=c.grown(c.heads), layers=c.grown_layers, length=c.length, experts=c.experts,
            hidden=c.grown(c.hidden), top_k=c.top_k,
        )  # fmt: skip

    def router(self, layer: int) -> nn.Module:
        """A new router for that layer."""
        c = self.config
        return TopK(c.grown(c.width), c.experts, c.top_k, std=c.router_std)

    def borders(self) -> tuple[int, ...]:
        """Two, or none from scratch."""
        return (self.config.grow_at, self.config.experts_at) if self.config.recipe == "grow" else ()

    def pace(self, step: int) -> float:
        """The usual one, with another rate after growth."""
        grown = self.config.recipe == "grow" and step >= self.config.grow_at
        return super().pace(step) * (self.config.lr_after if grown else 1.0)

    @torch.no_grad()
    def hand_over(self, stage: str) -> None:
        """Grow, or copy into experts."""
        before = self.networks["small" if stage == "grown" else "grown"]
        after = self.networks[stage]
        assert isinstance(before, MoEGPT)
        assert isinstance(after, MoEGPT)
        if stage == "grown":
            growing.grow(before, after, self.how)
            return
        growing.carry_over(before, after)
        generator = self.session.torch_rng("method", "expert noise")
        for old, new in zip(before.blocks, after.blocks, strict=True):
            growing.fill_experts(new.moe.experts, old.moe.experts)  # type: ignore[union-attr, arg-type]
            growing.disturb(new.moe.experts, self.config.expert_noise, generator)  # type: ignore[union-attr, arg-type]

    def compare(self, before: float, after: float) -> None:
        """The jump at the border."""
        if self.stage == "grown":
            emit("growth_jump", after - before)
        else:
            emit("experts_jump", after - before)

    def after(self, routings: list[Routing], batch: Batch) -> None:
        """How alike copies of neurons are, or experts."""
        with torch.no_grad():
            if self.stage == "grown":
                alike = torch.stack([self._copies(b) for b in self.network.blocks])
                emit("copy_cosine", alike)
                emit("symmetry", alike.mean() if alike.numel() else 0.0)
            elif self.stage == "experts":
                pairs = torch.stack([growing.cosines(_weights(b.moe.experts)) for b in self.network.blocks])  # type: ignore[union-attr]
                each = growing.mean_pair(pairs)
                emit("expert_similarity", each)
                emit("mean_expert_similarity", each.mean())

    def _copies(self, block: Any) -> torch.Tensor:
        """Cosine of each added hidden unit's incoming weights with those of the unit it stands for."""
        up = block.moe.experts.up[0]
        fresh = self.how.hidden.fresh
        return nn.functional.cosine_similarity(up[fresh], up[self.how.hidden.source[fresh]])

    @torch.no_grad()
    def look(self, batch: Batch) -> None:
        """Besides: whether the small network's loss is reached again."""
        super().look(batch)
        small = self.progress.before
        if self.stage == "grown" and small is not None and self.validation_loss() <= small:
            emit("recovery_steps", self.session.step - self.progress.began)
            self.progress.before = None  # said once


def _weights(experts: Any) -> torch.Tensor:
    """All weights of each expert, (E, n)."""
    return torch.cat([w.flatten(1) for w in experts.parameters()], dim=1)


def train(config: Upscale, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
