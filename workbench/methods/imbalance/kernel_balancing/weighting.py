"""The weights of a run: solved anew when a control moves, and what they leave unbalanced. Register it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.cards.protocols import SessionProtocol
from workbench.methods.imbalance.kernel_balancing import alternating, balance, kernels, propensity
from workbench.methods.imbalance.kernel_balancing.knobs import Balancing
from workbench.methods.imbalance.kernel_balancing.world import World

Array = NDArray[np.float64]
AUDIT = 256  # functions that nothing was balanced on
CANDIDATES = 1024
WATCHED = ("base", "balance", "kernel", "bandwidth", "n_basis", "basis_choice", "slack", "weight_clip")


class Weighting:
    """Weights (n,) of the rated pairs, which sum to n.

    Attributes:
        weights: in use. base: (n,) those that balancing starts from.
        K: (n, J) functions at the rated pairs. target: (J,) their means over all pairs.
        feasible: whether the solver reached the slack.
    """

    def __init__(self, config: Balancing, session: SessionProtocol, world: World) -> None:
        self.config, self.session, self.world = config, session, world
        self.made: dict[str, Any] = {}  # the controls for which the weights were made
        self.basis = np.zeros(0, np.int64)
        n = len(world.observed)
        self.weights, self.base = np.ones(n), np.ones(n)
        self.feasible = True
        self.model = alternating.Factors(world.users, world.items, generator=session.torch_rng("init", "weights"))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=5e-3, weight_decay=5e-2)  # the authors' for Coat
        self._audit = session.rng("eval", "audit").choice(world.users * world.items, AUDIT, replace=False)
        self.K, self.target = np.zeros((n, 0)), np.zeros(0)
        self._others = self.K, self.target

    def refresh(self, errors: Callable[[], Array]) -> bool:
        """Solve anew if a control has moved; whether it did. `errors` gives the recommender's (n,)."""
        c = self.config
        asked = {name: getattr(c, name) for name in WATCHED}
        if asked == self.made:
            return False
        self.made = asked
        self.base = self._base()
        self.basis = self._choose(errors)
        self._functions()
        if c.balance == "dual":
            found = balance.solve(self.K, self.target, base=self.base, slack=c.slack)
            self._use(found.weights)
            self.feasible = found.feasible
        else:
            self._use(self.base)
            self.feasible = True
        return True

    def step(self, rows: NDArray[np.int64]) -> None:
        """The authors' step of the weight model on the rated pairs `rows`, where that is chosen."""
        c = self.config
        if c.balance != "alternating":
            return
        pairs = self.world.pairs(self.world.observed[rows])
        K, target = (torch.from_numpy(a).float() for a in (self.K[rows], self.target))
        inverse = torch.from_numpy(self.base[rows]).float()
        alternating.step(
            self.model, self.optimizer, pairs, inverse, K, target, gamma=1.0, slack=c.slack,
            sum_over_basis=c.sum_over_basis,
        )  # fmt: skip
        with torch.no_grad():
            every = self.model(self.world.pairs(self.world.observed)).double().numpy()
        self._use(every * self.base)

    def gaps(self, weights: Array | None = None) -> Array:
        """(J,) what is left unbalanced by the weights in use, or by others."""
        return balance.gaps(self.K, self.target, self.weights if weights is None else weights)

    def audit(self) -> float:
        """The largest gap of 256 functions around other pairs: does balance reach beyond what was balanced?"""
        return float(np.abs(balance.gaps(*self._others, self.weights)).max())

    def _functions(self) -> None:
        """Those to balance, and the others: they change with the controls alone, not at each look."""
        self.K, self.target = self._at(self.basis)
        self._others = self._at(self._audit)

    def _use(self, weights: Array) -> None:
        self.weights = balance.clipped(weights, self.config.weight_clip) * len(weights)

    def _base(self) -> Array:
        w, labels, kind = self.world, self.world.likes.ravel(), self.made["base"]
        if kind == "naive_bayes":
            return propensity.inverse(propensity.naive_bayes(labels[w.observed], labels[w.unbiased], w.users * w.items))
        if kind == "logistic":
            rated = np.zeros(w.users * w.items, bool)
            rated[w.observed] = True
            return propensity.inverse(propensity.logistic(w.features, rated)[w.observed])
        if kind == "true":
            return propensity.inverse(w.propensity.ravel()[w.observed])
        return np.ones(len(w.observed))

    def _choose(self, errors: Callable[[], Array]) -> NDArray[np.int64]:
        """Basis points among all pairs: those of one seed are nested, so that more functions add to fewer."""
        number, total = self.made["n_basis"], len(self.world.features)
        order = self.session.rng("method", "basis", 0).permutation(total)
        if self.made["basis_choice"] == "random":
            return order[:number]
        some = order[: max(CANDIDATES, number)]
        K, target = self._at(some)
        if self.made["basis_choice"] == "worst":
            size = np.abs(balance.gaps(K, target, self.base))
        else:  # ridge regression of the error on the functions: those with the largest coefficients matter to the loss
            centred = K - K.mean(0)
            gram = centred.T @ centred + 1e-3 * len(K) * np.eye(K.shape[1])
            found = errors()
            size = np.abs(np.linalg.solve(gram, centred.T @ (found - found.mean())))
        return some[np.argsort(-size, kind="stable")[:number]]

    def _at(self, basis: NDArray[np.int64]) -> tuple[Array, Array]:
        """Functions around these pairs, at the rated pairs (n, J), and their means over all (J,)."""
        kind, points = self.made["kernel"], self.world.features
        rng = self.session.rng("method", "rate", 0)
        rate = kernels.rate_of(points, self.made["bandwidth"], kind=kind, rng=rng)
        K = kernels.kernel(points[self.world.observed], points[basis], kind=kind, rate=rate)
        return K, kernels.mean_kernel(points, points[basis], kind=kind, rate=rate)

    def state_dict(self) -> dict[str, Any]:
        """What a fork cannot compute from its configuration."""
        return {
            "made": dict(self.made), "basis": torch.from_numpy(self.basis), "feasible": self.feasible,
            "weights": torch.from_numpy(self.weights), "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there; base weights and functions follow from the controls that they were made for."""
        self.made, self.feasible = dict(state["made"]), bool(state["feasible"])
        self.basis, self.weights = state["basis"].numpy().copy(), state["weights"].numpy().copy()
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.made:
            self.base = self._base()
            self._functions()
