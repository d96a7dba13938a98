"""What a method calls to show something: `emit(name, value)`. Costs nothing until a session listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_listener: Callable[[str, Any], None] | None = None


def emit(name: str, value: Any) -> None:
    """Record a value of the signal `name` at the present step.

    Numbers, arrays, tensors (copied; a CUDA tensor without synchronisation) and text are taken. Several emits of one
    name in a step: the last wins. Without a session it does nothing; any thread may call it.
    """
    if _listener is not None:
        _listener(name, value)


def listen(listener: Callable[[str, Any], None] | None) -> None:
    """Make `listener(name, value)` receive every emit of this process; None: nobody. For sessions."""
    global _listener
    _listener = listener


def histogram(values: Any, low: float, high: float, bins: int) -> np.ndarray:
    """Counts in `bins` equal bins of [low, high], shape (bins,) int64; outliers fall into the end bins.

    For a `Signal` of shape ``histogram`` with ``edges=(low, high, bins)``. Non-finite values are left out.
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    return np.histogram(np.clip(array, low, high), bins=bins, range=(low, high))[0]
