"""A seed, a specialist a domain, and the mixture of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import growing, measures
from workbench.methods.experts._shared.lab import cross_entropy, run
from workbench.methods.experts._shared.staged import Staged, flops
from workbench.methods.experts._shared.text import Batch
from workbench.methods.experts.bam.attention import ROUTINGS, AttentionExperts
from workbench.methods.experts.bam.knobs import Bam
from workbench.methods.experts.bam.mixing import Team, attention_cosines, mix
from workbench.models.moe_gpt import Attention, MoEGPT, Output, Routing, Shape
from workbench.signals import emit


class Experiment(Staged):
    """Seed, specialists, mixture; or the seed alone."""

    config: Bam

    # -- the networks -------------------------------------------------------------------------------------------------

    def shape(self) -> Shape:
        """The mixture's sizes; blocks are parallel from the seed on."""
        return replace(super().shape(), parallel=True)

    def stages(self) -> dict[str, nn.Module]:
        """The networks."""
        self.dense_shape = replace(self.shape(), experts=1, top_k=1)
        seed = self.seeded("network", lambda: MoEGPT(self.dense_shape))
        if self.config.recipe == "dense":
            return {"seed": seed}
        team = self.seeded("team", lambda: Team([MoEGPT(self.dense_shape) for _ in self.domains]))
        return {"seed": seed, "specialists": team, "mixture": self.mixture(self.config.attention)}

    def mixture(self, attention: str) -> MoEGPT:
        """A mixture with that attention, as initialised; its routers are the same whatever the attention."""
        c = self.config

        def make(layer: int) -> nn.Module:
            if attention == "averaged":
                return Attention(c.width, c.heads)
            shared = attention == "experts_shared_kv"
            top_k = ROUTINGS[c.attention_routing]
            made: nn.Module = self.seeded(
                f"attention {layer}",
                lambda: AttentionExperts(c.width, c.heads, c.experts, shared=shared, top_k=top_k, std=c.router_std),
            )
            return made

        def router(layer: int) -> nn.Module:
            made: nn.Module = self.seeded(f"router {layer}", lambda: self.router(layer))
            return made

        made: MoEGPT = self.seeded("mixture", lambda: MoEGPT(self.shape(), router, make))
        return made

    def borders(self) -> tuple[int, ...]:
        """Two, or none for the seed alone."""
        c = self.config
        return (c.seed_steps, c.seed_steps + c.branch_steps) if c.recipe == "mix" else ()

    @property
    def specialists(self) -> Sequence[MoEGPT]:
        """One a domain."""
        return list(self.networks["specialists"].specialists)  # type: ignore[arg-type]

    def forward(self, batch: Batch) -> Output:
        """The network in force; specialists read their own domain."""
        if self.stage != "specialists":
            return super().forward(batch)
        output: Output = self.network(batch.inputs, batch.domain)
        return output

    def cost(self) -> float:
        """Operations of a batch: a byte goes through one specialist, and through all attention experts."""
        c, tokens = self.config, self.config.batch_size * self.config.length
        if self.stage == "specialists":
            return flops(self.specialists[0], tokens)
        if self.stage == "seed":
            return flops(self.network, tokens)
        return flops(self.network, tokens, c.top_k / c.experts, 1 if c.attention == "averaged" else c.experts)

    # -- the borders --------------------------------------------------------------------------------------------------

    def hand_over(self, stage: str) -> None:
        """Copy the seed, or mix the specialists."""
        if stage == "specialists":
            for specialist in self.specialists:
                specialist.load_state_dict(self.networks["seed"].state_dict())
            return
        mixture = self.networks["mixture"]
        assert isinstance(mixture, MoEGPT)
        mix(self.specialists, mixture, self.seeded("mean", lambda: MoEGPT(self.dense_shape)))

    def compare(self, before: float, after: float) -> None:
        """By domain, on either side of a border; where they are mixed also what each kind of attention makes of it."""
        if self.stage == "specialists":
            emit("bpb_seed", self.by_domain())
            return
        losses = {self.config.attention: after}
        for attention in {"averaged", "experts"} - {self.config.attention}:
            other = self.mixture(attention)
            mix(self.specialists, other, self.seeded("mean", lambda: MoEGPT(self.dense_shape)))
            with torch.no_grad():
                losses[attention] = float(cross_entropy(other(self.looks.inputs), self.looks))
        emit("merge_loss", losses["averaged"] - before)
        emit("merge_damage", losses["averaged"] - losses["experts"])
        emit("mixing_loss", after - before)
        emit("bpb_mixed", self.by_domain())

    @torch.no_grad()
    def by_domain(self) -> Tensor:
        """Bits a byte of the network in force on each domain's validation text, (D,)."""
        logits = self.forward(self.looks).logits.flatten(0, 1)
        losses = F.cross_entropy(logits, self.looks.targets.flatten(), reduction="none")
        return losses.view(len(self.domains), -1).mean(1) / math.log(2)

    # -- training and looking -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """One batch, as the live knobs have it."""
        c = self.config
        for block in getattr(self.networks.get("mixture"), "blocks", ()):
            block.moe.router.top_k = c.top_k
            block.moe.experts.requires_grad_(not c.freeze_experts)
            if isinstance(block.attention, AttentionExperts):
                for name, weight in block.attention.named_parameters():
                    weight.requires_grad_(name == "router" or not c.freeze_experts)
        super().step()

    def after(self, routings: list[Routing], batch: Batch) -> None:
        """Which attention expert weighs how much, on each domain."""
        if not routings or self.config.attention == "averaged":
            return
        weights = [b.attention.probabilities for b in self.network.blocks]  # type: ignore[union-attr]
        load = torch.stack([
            torch.stack([w[batch.of_token == d].mean(0) for d in range(len(self.domains))])  # type: ignore[index]
            for w in weights
        ])  # fmt: skip
        emit("attention_domain", load)
        emit("attention_load", load.mean(1))
        emit("attention_top", load.amin(1).amax(-1))
        emit("attention_specialisation", measures.specialisation(load).mean())

    def look(self, batch: Batch) -> None:
        """Besides: how far specialists' attention has diverged, and how far the mixture is behind them."""
        super().look(batch)
        if self.stage == "mixture":
            assert self.progress.before is not None
            emit("behind", self.validation_loss() - self.progress.before)
        if self.stage == "specialists":
            cosines = attention_cosines(self.specialists)
            emit("specialist_pairs", cosines)
            emit("specialist_cos", growing.mean_pair(cosines))
            emit("bpb_specialists", self.by_domain())


def train(config: Bam, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
