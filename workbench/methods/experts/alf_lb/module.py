"""The model under a selection bias or a balancing loss, and the router by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared import balance, measures
from workbench.methods.experts._shared.lab import Lab, run
from workbench.methods.experts._shared.text import Batch, validation
from workbench.methods.experts.alf_lb import dual
from workbench.methods.experts.alf_lb.knobs import AlfLb
from workbench.methods.experts.alf_lb.panel import Panel
from workbench.models.moe_gpt import Routing, TopK
from workbench.signals import emit

ROUND = 25  # steps; where the rule may change
SHOCK, SHOCKED = 3.0, 50  # times the score, for so many steps


class Router(TopK):
    """Top-K by score plus bias, whose first expert's score can be multiplied by 3 for some steps."""

    left: Tensor

    def __init__(self, width: int, experts: int, top_k: int, *, std: float, score: str) -> None:
        super().__init__(width, experts, top_k, std=std, score=score)
        self.register_buffer("left", torch.tensor(0))

    def affinity(self, logits: Tensor, probabilities: Tensor) -> Tensor:
        """See `TopK.affinity`; with the shock, while it lasts."""
        plain = super().affinity(logits, probabilities)
        if not self.left:
            return plain
        return torch.cat([SHOCK * plain[:, :1], plain[:, 1:]], 1)


class Watch:
    """The experts that each byte of a fixed text goes to, as of the last look: `chosen` (layers, T, K)."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.inputs = validation(lab.domains, 1, lab.config.length).inputs
        self.chosen = self.look()

    @torch.no_grad()
    def look(self) -> Tensor:
        """Where the bytes go now, (layers, T, K)."""
        return torch.stack([r.chosen for r in self.lab.network(self.inputs).routings if r.chosen is not None])

    def emit_moves(self) -> None:
        """Show which bytes moved since the last look."""
        before, self.chosen = self.chosen, self.look()
        experts = self.lab.config.experts
        moves = [dual.moved(a, b, experts) for a, b in zip(before, self.chosen, strict=True)]
        emit("flow", torch.stack([flow for flow, _ in moves]))
        emit("flips", torch.stack([number for _, number in moves]) / self.inputs.numel())

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"chosen": self.chosen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.chosen = state["chosen"]


class Excess:
    """Which experts were above an even load in the last step, (layers, E); 0 before the first."""

    def __init__(self) -> None:
        self.signs = torch.zeros(0)

    def update(self, load: Tensor) -> Tensor:
        """The share of experts that went from above to below or back, by layer; `load` (layers, E)."""
        signs, before = (load * load.shape[-1] - 1).sign(), self.signs
        self.signs = signs
        return (signs * before < 0).float().mean(-1) if before.numel() else torch.zeros(len(load))

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"signs": self.signs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.signs = state["signs"]


class Experiment(Lab):
    """The laboratory with a bias that moves against the load, and what moves with it."""

    config: AlfLb

    def __init__(self, config: AlfLb, session: SessionProtocol) -> None:
        super().__init__(config, session)
        self.term: Tensor | None = None
        session.action("shock", self.shock)

    def router(self, layer: int) -> nn.Module:
        """See `Lab.router`."""
        c = self.config
        return Router(c.width, c.experts, c.top_k, std=c.router_std, score=c.score)

    def registered(self) -> dict[str, Any]:
        """See `Lab.registered`."""
        self.clock, self.watch, self.excess = dual.Clock(), Watch(self), Excess()
        return super().registered() | {"clock": self.clock, "watch": self.watch, "excess": self.excess}

    def shock(self) -> None:
        """The first expert's score counts three times in every layer, for 50 steps."""
        for router in self.network.routers:
            router.left.fill_(SHOCKED)  # type: ignore[operator]

    def draw(self, step: int) -> Batch:
        """The step's batch; every 25 steps the rule may change."""
        if step % ROUND == 0:
            self.session.stage("round", step // ROUND)
        return super().draw(step)

    def auxiliary(self, routings: list[Routing]) -> Tensor:
        """The balancing loss, where there is one, and the z-loss."""
        c = self.config
        if c.balancing in ("bias", "none"):
            self.term = None
            return self.per_layer(routings, lambda r: r.logits.new_zeros(()))
        groups = c.batch_size if c.balancing == "micro" else 1
        self.term = self.per_layer(routings, lambda r: balance.load_balancing(r, groups))
        return self.term

    def update(self, loss: Tensor) -> None:
        """See `Lab.update`; at a look, how the balancing loss pulls at the router beside the task."""
        if self.term is not None and self.config.alpha and self.session.step % self.config.eval_every == 0:
            weights = [router.weight for router in self.network.routers]
            emit("interference", measures.interference(loss - self.term, self.term, weights))  # type: ignore[arg-type]
        super().update(loss)

    @torch.no_grad()
    def after(self, routings: list[Routing], batch: Batch) -> None:
        """Move the biases by the load of the whole batch, once a step, and show them."""
        c, routers = self.config, self.network.routers
        biases: list[Tensor] = [router.bias for router in routers]  # type: ignore[misc]
        load = measures.shares(torch.stack([r.counts for r in routings]))
        emit("lagrangian", torch.stack([_value(r, b) for r, b in zip(routings, biases, strict=True)]))
        if c.balancing == "bias" and not c.freeze_bias:
            n, tokens = self.clock.tick(c.rule), batch.inputs.numel()
            for bias, routing in zip(biases, routings, strict=True):
                bias += dual.step(balance.everywhere(routing.counts), tokens, rule=c.rule, u=c.u, update=n)
        shown = torch.stack(biases)
        emit("bias", shown)
        emit("last_bias", shown[-1])
        emit("bias_range", shown.amax(1) - shown.amin(1))
        emit("widest_bias", (shown.amax(1) - shown.amin(1)).max())
        emit("last_load", load[-1])
        emit("even_load", 1 / c.experts)
        emit("chatter", self.excess.update(load).mean())
        for router in routers:
            router.left.sub_(1).clamp_(min=0)  # type: ignore[operator]
        self.watch.emit_moves()


def _value(routing: Routing, bias: Tensor) -> Tensor:
    """The Lagrangian a byte, of a training batch."""
    assert routing.scores is not None
    assert routing.chosen is not None
    return dual.lagrangian(routing.scores, bias, routing.chosen) / len(routing.scores)


def train(config: AlfLb, session: SessionProtocol) -> None:
    """Train to the end of the run, or move biases over fixed scores."""
    if config.mode == "model":
        run(Experiment(config, session))
        return
    panel = Panel(config, session)
    for _ in session.steps(config.steps):
        panel.step()
