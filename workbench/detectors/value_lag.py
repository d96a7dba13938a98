"""A critic that predicts worse than a constant would."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.detectors.quantities import Lasting


class ValueLag(Lasting):
    """The critic's explained variance, 1 - squared error / variance of the returns, is below 0 for ten values.

    It is then further off than the returns' mean would be: it lags behind a policy that moves faster than it learns,
    or began biased, and its advantages mislead. Without variance in the returns nothing can be said.
    """

    id = "value_lag"
    title = "Critic lags behind"
    quantities = ("value_mse", "return_var", "explained_variance")
    told = quantities
    remedy = (
        "Warm the critic up before the policy moves, raise its learning rate, or lean less on it (a lambda nearer 1); "
        "a critic made from a reward model has seen finished answers alone."
    )

    def judge(self, step: int, seen: Mapping[str, float]) -> dict[str, float] | None:
        """As `Lasting.judge`."""
        if {"value_mse", "return_var"} <= seen.keys():
            if seen["return_var"] <= 1e-12:
                return None
            explained = 1 - seen["value_mse"] / seen["return_var"]
        elif "explained_variance" in seen:
            explained = seen["explained_variance"]
        else:
            return None
        return {"bad": 1 - explained, "explained": explained} if explained < 0 else {}

    def tell(self) -> tuple[str, str]:
        """As `Lasting.tell`."""
        explained = self.evidence["explained"]
        sentence = (
            f"The critic's squared error is {1 - explained:.3g} times the variance of the returns: a constant would "
            "predict better"
        )
        return sentence, "serious" if explained < -1 else "warning"
