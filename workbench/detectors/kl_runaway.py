"""A policy that runs away from its reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from workbench.detectors.quantities import Lasting


class KLRunaway(Lasting):
    """The KL to the reference of a whole response, mean of 5 values, is too large and rising, five values in a row.

    Too large: above 10 nats, or 0.1 nats a token where responses are longer than 100; rising: by more than 5 % in ten
    values. Or it is more than 5 times what it was 20 values ago, when it already was above 1 nat (every run's KL grows
    from 0). Small models that kept their skills spent 3 to 10 nats a response in 40 steps, those that lost them 8 to
    27; a KL that stays where it is, is held by its penalty and is no runaway. If only the KL a token is recorded it is
    multiplied by the mean length, which is exact if it was averaged over all tokens of a batch.
    """

    id = "kl_runaway"
    title = "KL runaway"
    quantities = ("kl_sequence", "kl_token", "length")
    told = ("kl_sequence", "kl_token")
    lasting = 5
    remedy = (
        "A lower learning rate or fewer epochs a batch, more KL penalty, a narrower clip; or begin from a policy whose "
        "responses are shorter, since the KL of a response grows with its length."
    )
    nats: ClassVar[float] = 10.0
    nats_a_token: ClassVar[float] = 0.1
    growth: ClassVar[float] = 5.0
    back: ClassVar[tuple[int, int]] = (10, 20)  # values ago, for "rising" and for the growth

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []
        self.means: list[float] = []
        self.length: float | None = None

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        self.length = seen.get("length", self.length)
        if "kl_sequence" in self.read:
            value = seen.get("kl_sequence")
        else:
            value = seen["kl_token"] * self.length if "kl_token" in seen and self.length is not None else None
        if value is None:
            return None
        self.values = [*self.values, value][-5:]
        if len(self.values) < 5:
            return None
        now = sum(self.values) / 5
        self.means = [*self.means, now][-(self.back[1] + 1) :]
        limit = max(self.nats, self.nats_a_token * (self.length or 0.0))
        short, long = (self.means[-1 - n] if len(self.means) > n else None for n in self.back)
        rising = now > limit and short is not None and now > 1.05 * short
        leaping = long is not None and long > 1 and now > self.growth * long
        if not (rising or leaping):
            return {}
        return {"bad": now / limit, "kl": now, "limit": limit, "before": (long if leaping else short) or 0.0}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        kl, limit, before = (self.evidence[name] for name in ("kl", "limit", "before"))
        above = f", above {limit:.3g}," if kl > limit else ""
        sentence = f"The KL to the reference stood at {kl:.3g} nats a response{above} and rising (before: {before:.3g})"
        return sentence, "serious" if kl > 3 * limit else "warning"

    def memory(self) -> dict[str, Any]:
        """As `Quantities.memory`."""
        kept = {"values": list(self.values), "means": list(self.means), "length": self.length}
        return {**super().memory(), **kept}

    def remember(self, state: Mapping[str, Any]) -> None:
        """As `Quantities.remember`."""
        super().remember(state)
        self.values, self.means, self.length = list(state["values"]), list(state["means"]), state["length"]
