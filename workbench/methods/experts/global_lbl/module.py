"""The model under a balancing loss over groups of sequences, or under a selection bias."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import balance
from workbench.methods.experts._shared.lab import Lab, run
from workbench.methods.experts._shared.text import Batch, draw
from workbench.methods.experts.global_lbl.knobs import GlobalLbl
from workbench.models.moe_gpt import Routing
from workbench.signals import emit


class Experiment(Lab):
    """The laboratory with a group of sequences for the balancing loss."""

    config: GlobalLbl

    def draw(self, step: int) -> Batch:
        """The step's batch; a round is one turn through the domains, where the mix may change."""
        c, number = self.config, len(self.domains)
        if step % number == 0:
            self.session.stage("round", step // number)
        pure = step if c.batch_mix == "pure" else None
        return draw(self.domains, self.session.rng("data", step), c.batch_size, c.length, pure=pure)

    def auxiliary(self, routings: list[Routing]) -> Tensor:
        """The balancing loss, mean over groups and layers, and the z-loss."""
        c = self.config
        if c.balancing == "bias":
            return self.per_layer(routings, lambda r: r.logits.new_zeros(()))
        groups, rows = c.batch_size // c.balance_group, None
        if c.lbl_tokens == "shuffled":
            generator = self.session.torch_rng("method", "shuffled", self.session.step)
            rows = torch.randperm(c.batch_size * c.length, generator=generator)[: c.balance_group * c.length]
        accumulated = c.counts == "accumulated"
        term = self.per_layer(routings, lambda r: balance.load_balancing(r, groups, accumulated=accumulated, rows=rows))
        emit("balance_group", c.balance_group)
        return term

    def after(self, routings: list[Routing], batch: Batch) -> None:
        """Selection biases move against the load of the whole batch; without them they stand still."""
        if self.config.balancing != "bias":
            return
        for router, routing in zip(self.network.routers, routings, strict=True):
            moved = balance.bias_step(balance.everywhere(routing.counts), rule="sign", u=self.config.u, update=1)
            router.get_buffer("bias").add_(moved)


def train(config: GlobalLbl, session: SessionProtocol) -> None:
    """Train to the end of the run."""
    run(Experiment(config, session))
