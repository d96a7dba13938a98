"""The laboratory of experiments that grow one network from another: all stages' networks in one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.cards.protocols import SessionProtocol
from workbench.methods.experts._shared.knobs import ExpertsConfig
from workbench.methods.experts._shared.lab import Lab, cross_entropy
from workbench.models.moe_gpt import MoEGPT
from workbench.signals import emit

AROUND = 50  # steps on either side of a hand-over that a chart of its own shows


class Progress:
    """Which stage trains, since which step, and what all of them have spent; register it.

    `flops`: floating-point operations so far. `before`: loss on validation text in front of the last border, nats a
    byte; None before the first.
    """

    def __init__(self) -> None:
        self.stage = self.began = 0
        self.flops = 0.0
        self.before: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        vars(self).update(state)


class Staged(Lab):
    """A laboratory whose `networks` train one after the other, each filled from those before it at its border.

    All are there from the start and share one optimiser, which passes over those without gradient: checkpoints, forks
    and replays need not know which one trains. A subclass says what they are (`stages`), where borders lie (`borders`)
    and what happens there (`hand_over`).
    """

    networks: dict[str, nn.Module]

    def __init__(self, config: ExpertsConfig, session: SessionProtocol) -> None:
        self.progress = Progress()
        super().__init__(config, session)

    # -- what a method says -------------------------------------------------------------------------------------------

    def stages(self) -> dict[str, nn.Module]:
        """The networks by stage, in order, as initialised."""
        raise NotImplementedError

    def borders(self) -> tuple[int, ...]:
        """The first step of each stage but the first, as the configuration has it now."""
        raise NotImplementedError

    def hand_over(self, stage: str) -> None:
        """Fill that stage's network, without gradient, from those before it."""
        raise NotImplementedError

    def compare(self, before: float, after: float) -> None:
        """Show the cross-entropy on validation text, nats, of the network before a border and of the one behind it."""

    # -- what that does -----------------------------------------------------------------------------------------------

    def build(self) -> MoEGPT:
        """Allocate all stages' networks; the first one's turn."""
        self.networks = self.stages()
        return next(iter(self.networks.values()))  # type: ignore[return-value]

    def groups(self) -> Any:
        """One group of parameters a stage."""
        return [{"params": list(network.parameters())} for network in self.networks.values()]

    def registered(self) -> dict[str, Any]:
        """The last stage's network as the model, the others by the names of their stages."""
        *first, last = self.networks
        others = {name: self.networks[name] for name in first}
        return {**super().registered(), "model": self.networks[last], **others, "progress": self.progress}

    @property
    def stage(self) -> str:
        """The name of the stage that trains."""
        return list(self.networks)[self.progress.stage]

    def pace(self, step: int) -> float:
        """The whole run's schedule, times a warm-up of the optimiser's new moments behind each border."""
        passed = [b for b in self.borders() if b <= step]
        again = min(1.0, (step - max(passed) + 1) / self.config.warmup) if passed else 1.0
        return super().pace(step) * again

    def step(self) -> None:
        """One batch, with the network whose turn it is."""
        self.network = self.networks[self.stage]  # type: ignore[assignment]
        borders = self.borders()
        while self.progress.stage < len(borders) and self.session.step >= borders[self.progress.stage]:
            self.turn()
        if not self.session.step:
            self.session.stage("training", 0)
        emit("flops", self.progress.flops)
        super().step()
        self.progress.flops += self.cost()
        emit("stage", self.progress.stage)

    def cost(self) -> float:
        """Floating-point operations of a batch, as `flops` counts them."""
        shape, c = self.network.shape, self.config
        return flops(self.network, c.batch_size * c.length, shape.top_k / shape.experts)

    def turn(self) -> None:
        """Cross a border."""
        with self.session.isolated():
            before = self.progress.before = self.validation_loss()
        self.progress.stage, self.progress.began = self.progress.stage + 1, self.session.step
        self.session.stage("training", self.progress.stage)
        self.hand_over(self.stage)
        self.network = self.networks[self.stage]  # type: ignore[assignment]
        with self.session.isolated():
            self.compare(before, self.validation_loss())

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Of the network in force, on the validation text of the usual looks, nats a byte."""
        return float(cross_entropy(self.forward(self.looks), self.looks))

    def learned(self, ce: Tensor) -> None:
        """The loss near a border, as a signal of its own."""
        if any(abs(self.session.step - border) <= AROUND for border in self.borders()):
            emit("border_ce", ce)


def flops(network: MoEGPT, tokens: int, active: float = 1.0, maps: int = 1) -> float:
    """Of training on so many tokens: 6 a weight and token, of experts the `active` share, and the attention's products.

    These are counted as if nothing were masked, for `maps` attention layers side by side in each block.
    """
    weights = sum(
        p.numel() * (active if ".experts." in name else 1.0) for name, p in network.named_parameters() if p.dim() > 1
    )
    shape = network.shape
    weights += 2 * maps * shape.layers * shape.length * shape.width - shape.length * shape.width  # positions are added
    return 6.0 * tokens * weights
