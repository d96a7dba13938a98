"""What is shown at an epoch's end, and the loss as a function of the probability."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workbench.methods.imbalance.comic.gate import Gate, upper_bound
from workbench.methods.imbalance.comic.knobs import Comic
from workbench.methods.imbalance.comic.measures import average_precision, reliability
from workbench.methods.imbalance.comic.modifier import Modifier
from workbench.methods.imbalance.comic.sample import Bools, Source
from workbench.methods.imbalance.comic.shows import PROBABILITIES
from workbench.methods.imbalance.comic.tally import Tally
from workbench.per_class import grouped
from workbench.signals import emit

SURE = 0.5


class Look:
    """Emits; `suffix` tells the vectors of one data set's classes from those of the other."""

    def __init__(self, data: Source, recorded: Bools, *, suffix: str) -> None:
        self.data, self.recorded, self.suffix = data, recorded, suffix
        self.groups = grouped(data.train_y.sum(0))
        self.grid = torch.tensor(PROBABILITIES)

    def ranking(self, p: Tensor) -> None:
        """Average precisions, largest probabilities and reliability of test probabilities (N, C)."""
        scores, truth = p.numpy(), self.data.test_y
        each = 100 * average_precision(scores, truth)
        emit(f"ap_per_class{self.suffix}", each)
        emit("map_total", float(np.nanmean(each)))
        for name, members in self.groups.items():
            if np.isfinite(each[members]).any():
                emit(f"map_{name}", float(np.nanmean(each[members])))
        emit(f"max_probability{self.suffix}", scores.max(0))
        emit("silent_classes", int((scores.max(0) < SURE).sum()))
        confidence, observed = reliability(scores, truth)
        emit("reliability_probability", confidence)
        emit("reliability_share", observed)

    def drift(self, p: Tensor) -> None:
        """Mean probability of training examples (N, C) beside how many labels there are, and are recorded."""
        emit("mean_probability", p.mean())
        emit("label_density", float(self.data.train_y.mean()))
        emit("recorded_density", float(self.recorded.mean()))

    def recalls(self, tally: Tally, gate: Gate, config: Comic) -> None:
        """What was recalled in the epoch, how much of it is true, and who pulled at the logits."""
        emit(f"positive_gradient_share{self.suffix}", tally.positive_share)
        recalled = tally.counts["recalled"]
        emit("recalled_per_epoch", recalled)
        if recalled:
            emit("recall_precision", 100 * tally.counts["right"] / recalled)
        if config.corrector != "off":
            emit("audited_recalls", gate.seen)
            emit("audited_bound", 100 * upper_bound(gate.right, gate.seen))
            if gate.seen:
                emit("audited_precision", 100 * gate.right / gate.seen)
        fixed = config.corrector == "fixed"
        emit("fixed_threshold", fixed)
        emit("gate_open", fixed or (config.corrector == "gated" and gate.approves(config.min_precision)))

    def surface(self, modifier: Modifier, config: Comic) -> None:
        """The loss against the probability, of the most and the least frequent class one after the other."""
        emit("surface_probability", torch.cat([self.grid, self.grid]))
        for name, label in (("positive", 1.0), ("negative", 0.0)):
            curve = modifier.curve(self.grid, label, config)
            emit(f"surface_{name}", torch.cat([curve[:, 0], curve[:, -1]]))
