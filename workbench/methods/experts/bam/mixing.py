"""From specialists to one mixture: what is stacked, what is averaged, and how far they have diverged."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workbench.cards.errors import InvalidValue
from workbench.methods.experts._shared import growing
from workbench.methods.experts.bam.attention import AttentionExperts
from workbench.models.moe_gpt import MoEGPT, Output

RELATED = 0.5  # cosine of attention weights in the first layer, below which models hardly share a seed


class Team(nn.Module):
    """Specialists side by side, each of which reads the sequences of its own domain."""

    def __init__(self, specialists: Sequence[MoEGPT]) -> None:
        super().__init__()
        self.specialists = nn.ModuleList(specialists)

    def forward(self, tokens: Tensor, domain: Tensor) -> Output:
        """Bytes (B, L) and each sequence's domain (B,) to logits (B, L, V)."""
        parts = [(domain == d).nonzero()[:, 0] for d in range(len(self.specialists))]
        made = [model(tokens[rows]).logits for model, rows in zip(self.specialists, parts, strict=True)]
        logits = torch.cat(made)
        return Output(logits[torch.cat(parts).argsort()], [])


def attention_cosines(specialists: Sequence[MoEGPT]) -> Tensor:
    """Cosine between the attention weights of every two specialists, by layer: (layers, N, N)."""
    with torch.no_grad():
        return torch.stack([
            growing.cosines(torch.stack([_attention(m, layer) for m in specialists]))
            for layer in range(len(specialists[0].blocks))
        ])  # fmt: skip


def mix(specialists: Sequence[MoEGPT], mixture: MoEGPT, mean: MoEGPT) -> None:
    """Fill `mixture`: feed-forward experts, and attention experts where it has such, one a specialist; the mean else.

    Routers stay as they are. `mean` is filled with the mean of all weights.

    Raises:
        InvalidValue: fewer than two specialists, different shapes, or not one for each expert.
    """
    growing.average(specialists, mean)
    if mixture.shape.experts != len(specialists):
        raise InvalidValue(
            f"A mixture of {mixture.shape.experts} experts needs as many specialists; got {len(specialists)}."
        )
    alike = float(growing.mean_pair(attention_cosines(specialists)[0]))
    if alike < RELATED:
        warnings.warn(
            f"The specialists' attention is hardly alike in the first layer (cosine {alike:.2f}): they seem to come "
            "from different seeds, whose heads and units do not match.",
            stacklevel=2,
        )
    growing.carry_over(mean, mixture)
    for layer, block in enumerate(mixture.blocks):
        olds = [m.blocks[layer] for m in specialists]
        if isinstance(block.attention, AttentionExperts):
            block.attention.fill([b.attention for b in olds])  # type: ignore[misc]
        with torch.no_grad():
            for name, weight in block.moe.experts.named_parameters():  # type: ignore[union-attr]
                weight.copy_(torch.cat([b.moe.experts.get_parameter(name) for b in olds]))  # type: ignore[union-attr]


def _attention(model: MoEGPT, layer: int) -> Tensor:
    return torch.cat([p.flatten() for p in model.blocks[layer].attention.parameters()])  # type: ignore[union-attr]
