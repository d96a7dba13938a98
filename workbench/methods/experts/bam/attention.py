"""Attention layers of several models side by side, mixed by a router."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.models.moe_gpt import Attention

ROUTINGS = {"soft": 0, "top1": 1, "top2": 2}


class AttentionExperts(nn.Module):
    """E causal attention layers: Σ_e softmax(router x)_e Attn_e(x), all of them on every token (BAM's soft routing).

    `q`, `out` (E, d, d); `kv` (E, 2d, d), or (1, 2d, d) where keys and values are shared. With `top_k` > 0 a token's
    weights are those of its K likeliest experts, made to add up to 1. `probabilities` (B · L, E): the weights of the
    last forward pass, without gradient.
    """

    probabilities: Tensor

    def __init__(
        self, width: int, heads: int, experts: int, *, shared: bool, top_k: int = 0, std: float = 0.02
    ) -> None:
        super().__init__()
        self.heads, self.top_k = heads, top_k
        scale = 1 / math.sqrt(width)
        self.q = nn.Parameter(torch.randn(experts, width, width) * scale)
        self.kv = nn.Parameter(torch.randn(1 if shared else experts, 2 * width, width) * scale)
        self.out = nn.Parameter(torch.randn(experts, width, width) * scale)
        self.router = nn.Parameter(torch.randn(experts, width) * std)

    @torch.no_grad()
    def fill(self, layers: list[Attention]) -> None:
        """Take the layers' weights, one an expert; shared keys and values are their mean."""
        width = self.q.shape[-1]
        qkv = torch.stack([layer.qkv.weight for layer in layers])
        self.q.copy_(qkv[:, :width])
        kv = qkv[:, width:]
        self.kv.copy_(kv.mean(0, keepdim=True) if len(self.kv) == 1 else kv)
        self.out.copy_(torch.stack([layer.out.weight for layer in layers]))

    def weigh(self, x: Tensor) -> Tensor:
        """Each expert's weight for tokens (B, L, d): (B, L, E), adding up to 1."""
        weights = F.linear(x, self.router).softmax(-1)
        if not self.top_k:
            return weights
        chosen = weights.detach().sort(stable=True, dim=-1, descending=True).indices[..., : self.top_k]
        kept = weights * torch.zeros_like(weights).scatter(-1, chosen, 1.0)
        return kept / kept.sum(-1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, d) to (B, L, d)."""
        batch, length, width = x.shape
        experts = len(self.q)
        weights = self.weigh(x)
        self.probabilities = weights.detach().flatten(0, 1)

        def heads(matrices: Tensor) -> Tensor:
            """(n, d, d) applied to x and cut into heads: (B, E, heads, L, d / heads)."""
            made = F.linear(x, matrices.flatten(0, 1)).view(batch, length, len(matrices), self.heads, -1)
            return made.permute(0, 2, 3, 1, 4).expand(-1, experts, -1, -1, -1)

        keys, values = self.kv.split(width, dim=1)
        mixed = F.scaled_dot_product_attention(heads(self.q), heads(keys), heads(values), is_causal=True)
        mixed = mixed.permute(0, 3, 1, 2, 4).reshape(batch, length, experts, width) * weights.unsqueeze(-1)
        return F.linear(mixed.flatten(2), self.out.transpose(0, 1).flatten(1))
