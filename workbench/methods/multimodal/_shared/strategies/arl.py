"""Asymmetric representation learning (ARL, ICCV 2025): more gradient for the modality less used and less variable.

Coefficients and losses equal shicaiwei123/ICCV2025-ARL @358af4f, main_arl_variance.py (golden vectors). In that version
they are computed and printed but never assigned, so that what runs is ``constant``; in @51a9de3 each batch's act on the
next. Here they act on their own batch. Up to the start epoch both are ½, as there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.methods.multimodal._shared import measures
from workbench.methods.multimodal._shared.network import TwoModalities
from workbench.methods.multimodal._shared.strategies import uniform
from workbench.methods.multimodal._shared.strategy import Scale


class Strategy(uniform.Strategy):
    """Unimodal regularisers, and ``(1 + c_m) ∂L/∂f_m`` at the encoders' outputs."""

    def scale_features(self, network: TwoModalities, features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """See `strategy.Strategy.scale_features`."""
        with torch.no_grad():
            readouts = network.fusion.readouts(*features)
        c = self.config
        kind = "constant" if self.warming and c.coefficients != "off" else c.coefficients
        a, v = chosen(kind, *readouts, T=c.T, clip=c.entropy_clip)
        self.coefficients = (1 + a, 1 + v)
        first, second = features
        return Scale.apply(first, 1 + a), Scale.apply(second, 1 + v)


def chosen(kind: str, za: Tensor, zv: Tensor, *, T: float, clip: float) -> tuple[float, float]:
    """c of a and v: ``arl``; ``reversed``, the same exchanged; ``constant`` ½ each, as the code runs; ``off`` 0."""
    if kind in ("constant", "off"):
        return (0.5, 0.5) if kind == "constant" else (0.0, 0.0)
    a, v = coefficients(za, zv, T=T, clip=clip)
    return (a, v) if kind == "arl" else (v, a)


def coefficients(za: Tensor, zv: Tensor, *, T: float = 8.0, clip: float = 0.3) -> tuple[float, float]:
    """softmax(T [d_v ι_a, d_a ι_v]) from read-outs (B, C), which sum to 1.

    d: dependence of the output on each modality; ι: inverse-variance shares, entropies in the variances' place.
    """
    d_a, d_v = measures.dependence(za, zv)
    i_a, i_v = measures.inverse_variance(measures.entropy(za), measures.entropy(zv), clip)
    a, v = torch.softmax(torch.tensor([T * d_v * i_a, T * d_a * i_v], dtype=torch.float64), 0).tolist()
    return a, v
