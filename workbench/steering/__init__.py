"""The training side. `Session` needs no torch; `Steering`, `Logger` and `watch` import it when they are asked for."""

from typing import Any

from workbench.steering.session import Session, Stopped, current

__all__ = ["Logger", "Session", "Steering", "Stopped", "current", "watch"]


def __getattr__(name: str) -> Any:
    if name in ("Steering", "Logger"):
        from workbench.steering import lightning_adapter

        return getattr(lightning_adapter, name)
    if name == "watch":
        from workbench.steering.watching import watch

        return watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
