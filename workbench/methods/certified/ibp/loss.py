"""What a certified loss is: a few coefficients, and a number made of one batch. Light: imports no torch.

A loss is one file with `LOSS = <a subclass of Loss>`, in the package `losses` or in somebody else's package that is
named by the entry-point group ``workbench.certified_losses``; the file's name is the loss's name. Its fields become
live controls ``losses.<name>.<field>``.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.cards import WorkbenchError, control

if TYPE_CHECKING:
    from torch import Tensor

    from workbench.methods.certified.ibp.scene import Scene

GROUP = "workbench.certified_losses"
_PACKAGE = "workbench.methods.certified.ibp.losses"


@dataclass
class Loss:
    """A certified loss with its coefficients; `title`, and which field moves it (`moved_by`), are the class's."""

    title: ClassVar[str] = ""
    moved_by: ClassVar[str] = ""

    def value(self, scene: Scene) -> Tensor:
        """The robust loss of the batch in `scene`, a scalar with its gradient; `Scene` says what may be asked."""
        raise NotImplementedError

    @property
    def position(self) -> float:
        """The coefficient in force; 1 for a loss that has none."""
        return float(getattr(self, self.moved_by)) if self.moved_by else 1.0


@dataclass
class Mixed(Loss):
    """Base of the losses between an attack (alpha 0, a lower bound) and intervals (alpha 1, an upper bound).

    At either end the other side is not computed. A subclass declares `alpha` and `attack_steps` and says how to `mix`.
    Source: De Palma et al. 2024 (arXiv 2305.13991).
    """

    alpha: float
    attack_steps: int
    moved_by: ClassVar[str] = "alpha"

    def value(self, scene: Scene) -> Tensor:
        """See `Loss.value`."""
        if self.alpha == 1:
            return scene.bounds.robust_loss()
        attacked = scene.margins_at(scene.attack(steps=self.attack_steps))
        if self.alpha == 0:
            return scene.cross_entropy(attacked)
        return self.mix(scene, scene.bounds.margin, attacked)

    def mix(self, scene: Scene, certified: Tensor, attacked: Tensor) -> Tensor:
        """Of margins (B, C): lower bounds, and those at the attack's points."""
        raise NotImplementedError


def portion(default: float, title: str, help: str) -> Any:
    """The control of a coefficient from 0 to 1."""
    return control(default, min=0, max=1, step=0.01, group="Loss", label=f"{title} coefficient", help=help)


def search_steps(default: int, title: str) -> Any:
    """The control of an attack's length in training."""
    return control(
        default, min=1, max=50, scale="log", group="Loss", label=f"{title} attack steps",
        help="gradient steps of its attack in training; each costs a pass through the network and back",
    )  # fmt: skip


@functools.cache
def found() -> dict[str, type[Loss]]:
    """Every loss by name, `ibp` first, then in order of the names.

    Raises WorkbenchError: a file without LOSS, or a name that two packages use.
    """
    losses: dict[str, type[Loss]] = {}
    for package in (_PACKAGE, *(point.value for point in entry_points(group=GROUP))):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name.startswith("_"):
                continue
            loss = getattr(importlib.import_module(f"{package}.{module.name}"), "LOSS", None)
            if not (isinstance(loss, type) and issubclass(loss, Loss)):
                raise WorkbenchError(f"{package}.{module.name} does not define LOSS = <a subclass of Loss>.")
            if module.name in losses:
                raise WorkbenchError(f"Two certified losses are called '{module.name}'; rename the one in {package}.")
            losses[module.name] = loss
    return dict(sorted(losses.items(), key=lambda item: (item[0] != "ibp", item[0])))


def coefficients() -> type[Any]:
    """A dataclass with one field a loss: its coefficients, as they stand in the configuration."""
    fields = [(name, loss, dataclasses.field(default_factory=loss)) for name, loss in found().items()]
    return dataclasses.make_dataclass("Losses", fields)
