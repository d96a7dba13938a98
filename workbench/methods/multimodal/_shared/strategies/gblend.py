"""Gradient blending (G-Blend, CVPR 2020): losses weighed by how much each generalises for how much it overfits.

By the formulas, as GeWu-Lab/BalanceBenchmark's GBlending_trainer.py has them; no golden vectors. Every 10 epochs copies
of the network train 2 epochs on each loss alone and are compared on samples held out from training and test.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from workbench.cards.errors import InvalidValue
from workbench.data import order
from workbench.methods.multimodal._shared import strategy
from workbench.methods.multimodal._shared.network import TwoModalities
from workbench.methods.multimodal._shared.pairs import Part
from workbench.methods.multimodal._shared.strategy import Lookout


class Strategy(strategy.Strategy):
    """Σ w_m L_m, the fused loss among them."""

    KEPT = ("estimated",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.weights = (1 / 3, 1 / 3, 1 / 3)
        self.estimated = -1  # epoch

    def begin(self, epoch: int, lookout: Lookout) -> None:
        """Estimate the weights anew if it is time."""
        super().begin(epoch, lookout)
        if self.estimated >= 0 and epoch - self.estimated < self.config.super_epoch:
            return
        self.estimated = epoch
        if not len(lookout.pair.valid):
            raise InvalidValue(
                "gblend needs samples that neither train nor test, and there are none left: set n_train to 800 at most."
            )
        found = [self._estimate(index, lookout) for index in range(3)]
        self.weights = blend([g for g, _ in found], [o for _, o in found])

    def _estimate(self, index: int, lookout: Lookout) -> tuple[float, float]:
        """Generalisation and overfitting of the loss of that index, in nats."""
        network, pair, c = copy.deepcopy(lookout.network), lookout.pair, self.config
        optimizer = lookout.make(network.parameters())
        before = [_loss(network, part, c, index) for part in (pair.train, pair.valid)]
        for epoch in range(c.blend_epochs):
            rows = lookout.rng("method", "gblend", self.epoch, epoch).permutation(len(pair.train))
            for batch in order.batches(rows, c.batch_size, smallest=2):
                own = torch.from_numpy(batch)
                features = network.features(*pair.train.inputs(c, own))
                loss = network.outputs(features, pair.train.y[own]).losses[index]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        after = [_loss(network, part, c, index) for part in (pair.train, pair.valid)]
        return before[1] - after[1], (after[1] - after[0]) - (before[1] - before[0])


@torch.no_grad()
def _loss(network: TwoModalities, part: Part, config: Any, index: int) -> float:
    return float(network.outputs(network.features(*part.inputs(config)), part.y).losses[index])


def blend(generalisation: list[float], overfitting: list[float]) -> tuple[float, float, float]:
    """Weights |G / O²|, which sum to 1; O of 1e-4 nats and less counts as that."""
    raw = [abs(g) / max(abs(o), 1e-4) ** 2 for g, o in zip(generalisation, overfitting, strict=True)]
    total = sum(raw)
    fused, a, v = (r / total for r in raw) if total else (1 / 3, 1 / 3, 1 / 3)
    return fused, a, v
