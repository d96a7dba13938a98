"""A small encoder, pretrained on its own long tail with cross-entropy, then frozen, and kept for later runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.data.artifacts import artifact
from workbench.methods.imbalance.foundation_bias.knobs import FoundationBias
from workbench.methods.imbalance.foundation_bias.tails import Pictures, Set

VERSION = 1  # raise it when the code below, or that of tails.py, makes other weights of the same settings
FEATURES, BATCH, RATE = 64, 128, 1e-3


class Encoder(nn.Module):
    """Two strided convolutions and a linear layer, 28 × 28 pixels to 64 features; about 66,000 weights.

    `mask` (28, 28) holds 0 for pixels that it never sees. `head` is that of its pretraining, whose logits are the
    zero-shot ones.
    """

    mask: Tensor

    def __init__(self, classes: int, mask: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, 20, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(20 * 7 * 7, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                fan = layer.weight[0].numel()
                with torch.no_grad():
                    layer.weight.normal_(0, (2 / fan) ** 0.5, generator=generator)
                    assert layer.bias is not None
                    layer.bias.zero_()

    def forward(self, pictures: Tensor) -> Tensor:
        """Features (N, 64) of pictures (N, 1, 28, 28)."""
        return self.body(pictures * self.mask)

    @torch.no_grad()
    def features(self, pictures: NDArray[np.float32]) -> Tensor:
        """The same without a graph, for any number of pictures."""
        return torch.cat([self(part) for part in torch.from_numpy(pictures).split(1000)])


def pretrain(encoder: Encoder, seen: Set, epochs: int, generator: torch.Generator) -> None:
    """Cross-entropy with Adam, batches of 128; nothing is done about the tail."""
    x, y = torch.from_numpy(seen.floats), torch.from_numpy(seen.y)
    optimizer = torch.optim.Adam(encoder.parameters(), RATE)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=generator).split(BATCH):
            loss = F.cross_entropy(encoder.head(encoder(x[rows])), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@dataclass(frozen=True)
class Foundation:
    """A frozen encoder and the classes in the order of its outputs."""

    encoder: Encoder
    classes: tuple[str, ...]


def foundation(c: FoundationBias, pictures: Pictures, k: int, say: Callable[[str], None]) -> Foundation:
    """Encoder k of a run: kept from before, else pretrained now, of which `say` hears."""
    session, tail = pictures.session, pictures.pretraining[k]
    number = len(pictures.classes)
    key = {
        "part": "imbalance/foundation_bias encoder", "version": VERSION, "torch": torch.__version__,
        "threads": torch.get_num_threads(), "seed": session.seed, "encoder": k, "same": pictures.same and k > 0,
        "classes": list(pictures.classes), "order": tail.order.tolist(), "counts": tail.counts.tolist(),
        "epochs": c.pretrain_epochs, "half_pixels": c.half_pixels,
    }  # fmt: skip

    def build() -> tuple[Encoder, torch.Generator]:
        generator = session.torch_rng("init", "encoder", k)
        seen = session.rng("data", "mask", k).permutation(28 * 28).reshape(1, 28, 28) % 2 == 0
        mask = torch.from_numpy(seen if c.half_pixels else np.ones_like(seen)).float()
        return Encoder(number, mask, generator), generator

    def make(folder: Path) -> None:
        say(f"pretraining encoder {k} on {int(tail.counts.sum()):,} pictures")
        encoder, generator = build()
        pretrain(encoder, pictures.seen_by(k), c.pretrain_epochs, generator)
        np.savez(folder / "weights.npz", **{name: t.numpy() for name, t in encoder.state_dict().items()})
        (folder / "classes.json").write_text(json.dumps(pictures.classes))

    folder = artifact(key, make)
    encoder, _ = build()
    with np.load(folder / "weights.npz") as kept:
        encoder.load_state_dict({name: torch.from_numpy(kept[name]) for name in kept.files})
    encoder.requires_grad_(False).eval()
    return Foundation(encoder, tuple(json.loads((folder / "classes.json").read_text())))
