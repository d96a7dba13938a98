"""A dense network, and the experts that are copies of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import growing, measures
from workbench.methods.experts._shared.lab import run
from workbench.methods.experts._shared.staged import Staged
from workbench.methods.experts._shared.text import Batch
from workbench.methods.experts.scale_adapter import router
from workbench.methods.experts.scale_adapter.knobs import ScaleAdapter
from workbench.models.moe_gpt import MoEGPT, Routing, Shape
from workbench.signals import emit, histogram


class Experiment(Staged):
    """The dense stage, then the experts; routers and adapters have learning rates of their own."""

    config: ScaleAdapter
    term: Tensor | None = None

    def stages(self) -> dict[str, nn.Module]:
        """The dense network and, unless it goes on, the mixture."""
        dense = self.seeded("network", lambda: MoEGPT(self.sizes(1, 1)))
        if self.config.variant == "dense":
            return {"dense": dense}
        c = self.config
        shape = self.sizes(c.experts, c.top_k)
        return {"dense": dense, "experts": self.seeded("experts", lambda: MoEGPT(shape, self.router))}

    def sizes(self, experts: int, top_k: int) -> Shape:
        """The model's sizes."""
        c = self.config
        return Shape(
            width=c.width, heads=c.heads, layers=c.layers, length=c.length, experts=experts, hidden=c.hidden,
            top_k=top_k, gated=True, activation="gelu_tanh",
        )  # fmt: skip

    def router(self, layer: int) -> nn.Module:
        """A new router for that layer."""
        c = self.config
        return router.ScaledRouter(c.width, c.experts, c.top_k, c.variant, std=c.router_std)

    def groups(self) -> Any:
        """What selects and what weighs stand in groups of their own, the last two."""
        named = [item for network in self.networks.values() for item in network.named_parameters()]
        selects = [p for name, p in named if name.endswith("router.weight")]
        weighs = [p for name, p in named if name.endswith("router.adapter")]
        others = [p for name, p in named if ".router." not in name]
        self.rates = [name for name, found in (("router_lr_mult", selects), ("adapter_lr_mult", weighs)) if found]
        return [{"params": found} for found in (others, selects, weighs) if found]

    def borders(self) -> tuple[int, ...]:
        """One, unless the dense network goes on."""
        return (self.config.dense_steps,) if self.config.variant != "dense" else ()

    def hand_over(self, stage: str) -> None:
        """Copy the dense network."""
        c = self.config
        dense, mixture = self.networks["dense"], self.networks["experts"]
        assert isinstance(dense, MoEGPT)
        assert isinstance(mixture, MoEGPT)
        growing.carry_over(dense, mixture)
        generator = self.session.torch_rng("method", "noise")
        for old, new in zip(dense.blocks, mixture.blocks, strict=True):
            router.upcycle(
                new.moe.experts, old.moe.experts,  # type: ignore[union-attr, arg-type]
                scale=c.experts / c.top_k if c.renormalise_init else 1.0, noise=c.noise_std, generator=generator,
            )  # fmt: skip

    def compare(self, before: float, after: float) -> None:
        """The jump at the border."""
        emit("upcycle_jump", after - before)

    def auxiliary(self, routings: list[Routing]) -> Tensor:
        """See `Lab.auxiliary`."""
        self.term = super().auxiliary(routings)
        return self.term

    def update(self, loss: Tensor) -> None:
        """The usual step with rates multiplied, which the schedule sets anew behind it; what pulls at the router."""
        c, network = self.config, self.network
        for group, name in zip(self.optimizer.param_groups[1:], self.rates, strict=True):
            group["lr"] *= getattr(c, name)
        if network.routers and self.term is not None and c.alpha and self.session.step % c.eval_every == 0:
            weights = [r.weight for r in network.routers]
            emit("interference", measures.interference(loss - self.term, self.term, weights))  # type: ignore[arg-type]
        super().update(loss)

    @torch.no_grad()
    def after(self, routings: list[Routing], batch: Batch) -> None:
        """How selection and weights hang together."""
        if not routings:
            return
        coupled = torch.stack([router.coupling(r) for r in routings])
        share = torch.stack([router.gate_share(r) for r in routings])
        emit("coupling", coupled)
        emit("mean_coupling", coupled.mean())
        emit("gate_share", histogram(share, 0, 1, router.BINS))
        emit("median_gate_share", share.median())
        emit("cloud", torch.stack([router.cloud(r) for r in routings]))


def train(config: ScaleAdapter, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
