"""Workbench: see, and steer, imbalance and instability while networks train.

Importing this package loads nothing heavy; each public name is fetched from its room when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.cards.errors import WorkbenchError as WorkbenchError
    from workbench.cards.registry import card as card
    from workbench.cards.registry import experiments as experiments
    from workbench.cards.rules import ramp as ramp
    from workbench.cards.rules import set as set
    from workbench.cards.rules import when as when
    from workbench.data.order import Batches as Batches
    from workbench.panels import open as open
    from workbench.panels.claims import claims as claims
    from workbench.per_class import PerClass as PerClass
    from workbench.runs import launch as launch
    from workbench.runs.store import run as run
    from workbench.runs.store import store as store
    from workbench.signals import emit as emit
    from workbench.steering import ClassReport as ClassReport
    from workbench.steering import Logger as Logger
    from workbench.steering import Steering as Steering
    from workbench.steering import TransformersSteering as TransformersSteering
    from workbench.steering.user import session as session
    from workbench.steering.watching import watch as watch
    from workbench.tracking.reading import detect as detect

__version__ = "0.1.0"

# public name -> the module that holds it
_HOMES = {
    "Batches": "workbench.data.order",
    "ClassReport": "workbench.steering",
    "Logger": "workbench.steering",
    "PerClass": "workbench.per_class",
    "Steering": "workbench.steering",
    "TransformersSteering": "workbench.steering",
    "WorkbenchError": "workbench.cards.errors",
    "card": "workbench.cards.registry",
    "claims": "workbench.panels",
    "detect": "workbench.tracking.reading",
    "emit": "workbench.signals",
    "experiments": "workbench.cards.registry",
    "launch": "workbench.runs",
    "open": "workbench.panels",
    "ramp": "workbench.cards.rules",
    "run": "workbench.runs.store",
    "session": "workbench.steering.user",
    "set": "workbench.cards.rules",
    "store": "workbench.runs.store",
    "watch": "workbench.steering.watching",
    "when": "workbench.cards.rules",
}

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604 (every entry is a name)


def __getattr__(name: str) -> object:
    """Fetch a public name from its room and keep it, so that the next use costs a dictionary look-up."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
