"""What can be told of two modalities: one dominates, dependence is not what variances ask for, the head has too much.

Calibrated on seeds 100 and 101, 400 steps, on noisy pix and fou, fac and zer, kar and mor, and the watch. Dominance is
told of the joint loss and, at times, of OGM, PMR and G-Blend, never of the regularisers or ARL, and not of the joint
loss on kar and mor, where both sleep. Overload, three seeds on pix and mor: told with gamma 8 at a rate of 0.05 and
gamma 4 at 0.1, not with gamma 1 at 0.01.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from workbench.detectors.lasting import Lasting

NEVER = 1e9  # a loss that nothing reaches


class ModalityDominance(Lasting):
    """One modality is ahead (ratio above 2 over 20 steps, 50 steps long) and the other 10 points below itself alone."""

    id = "modality_dominance"
    title = "One modality dominates"
    needs = ("rho", "underuse_a", "underuse_v")
    sees = ("rho", "underuse_a", "underuse_v")
    remedy = "Unimodal regularisers (method uniform or arl), or hold the stronger encoder back (method ogm)."
    RATIO: ClassVar[float] = 2.0
    UNDERUSE: ClassVar[float] = 10.0
    MEMORY: ClassVar[int] = 20
    KEPT = ("ahead", "seen")

    def __init__(self) -> None:
        super().__init__()
        self.ahead, self.seen = 0.0, False  # running mean of ln rho

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        now = math.log(max(self.known["rho"], 1e-9))
        self.ahead = now if not self.seen else self.ahead + (now - self.ahead) * 2 / (self.MEMORY + 1)
        self.seen = True
        ratio = math.exp(abs(self.ahead))
        underuse = self.known["underuse_v" if self.ahead > 0 else "underuse_a"]
        if ratio <= self.RATIO or underuse <= self.UNDERUSE:
            return None
        return {"ratio": ratio, "underuse": underuse, "weaker_is_v": float(self.ahead > 0), "bad": ratio}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        weaker, other = ("v", "a") if evidence["weaker_is_v"] else ("a", "v")
        return (
            f"Modality {other} is ahead {evidence['ratio']:.1f} to 1, and {weaker} stays {evidence['underuse']:.0f} "
            "points below what it reaches alone"
        )


class VarianceMismatch(Lasting):
    """The output depends on a modality twice as much, or half as much, as inverse variances ask for; 10 looks long.

    Information, not a warning: with unimodal regularisers both modalities end near an even share, whatever their
    variances, and accuracy is best all the same. There it stands at -1 to -1.2 on fac and zer and on kar and mor, at
    +2 on synthetic_av_digits, and below 0.5 on noisy pix and fou alone.
    """

    id = "variance_mismatch"
    title = "Dependence does not follow the variances"
    needs = ("arl_mismatch",)
    sees = ("arl_mismatch",)
    remedy = "Raise T, or the noisier modality's share of the losses; compare the accuracy before you believe it."
    severity = "info"
    lasting = 10
    patience = 4
    MOST: ClassVar[float] = 0.7

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        value = self.known["arl_mismatch"]
        if abs(value) <= self.MOST:
            return None
        return {"mismatch": value, "bad": abs(value)}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        more = "more" if evidence["mismatch"] > 0 else "less"
        times = math.exp(abs(evidence["mismatch"]))
        return f"The output depends on a {times:.1f} times {more} than its variance asks for (odds)"


class HeadOverload(Lasting):
    """The fused loss rises by a fifth, and by 0.1 nats, while the read-outs' are over 70 % of what is minimised.

    Means over 20 steps against the lowest there was, 20 steps long. The 0.1 nats are ours: near 0 a fifth is nothing;
    and both read-outs count together, since in the collapse of pix and mor (gamma 8, rate 0.05) each has its half.
    """

    id = "head_overload"
    title = "The shared head has too much to serve"
    needs = ("loss_fused", "loss_a", "loss_v", "loss_weights")
    sees = ("loss_fused", "loss_a", "loss_v", "loss_weights")
    remedy = "Lower gamma, or the learning rate."
    lasting = 20
    MEMORY: ClassVar[int] = 20
    RISE: ClassVar[float] = 0.2
    NATS: ClassVar[float] = 0.1
    SHARE: ClassVar[float] = 0.7
    KEPT = ("mean", "lowest", "count")

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.lowest, self.count = 0.0, NEVER, 0

    def holds(self) -> dict[str, float] | None:
        """See `Lasting.holds`."""
        losses = [self.known[f"loss_{name}"] for name in ("fused", "a", "v")]
        self.count += 1
        self.mean += (losses[0] - self.mean) * max(2 / (self.MEMORY + 1), 1 / self.count)
        if self.count >= self.MEMORY:
            self.lowest = min(self.lowest, self.mean)
        parts = [w * loss for w, loss in zip(self.known["loss_weights"], losses, strict=True)]
        share = sum(parts[1:]) / max(sum(parts), 1e-12)
        rise = self.mean - self.lowest
        if share <= self.SHARE or rise <= max(self.NATS, self.RISE * self.lowest):
            return None
        return {"fused": self.mean, "lowest": self.lowest, "share": share, "bad": rise}

    def told(self, evidence: Mapping[str, float]) -> str:
        """See `Lasting.told`."""
        return (
            f"The fused loss rose from {evidence['lowest']:.2f} to {evidence['fused']:.2f} nats while the losses of "
            f"the read-outs are {evidence['share']:.0%} of what is minimised"
        )
