"""The training side. `Session` needs no torch; what works inside a framework imports it when it is asked for."""

from typing import Any

from workbench.steering.session import Session, Stopped, current

__all__ = [
    "ClassReport", "LengthPenalty", "Logger", "Session", "Steering", "Stopped", "TransformersSteering", "current",
    "watch",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("Steering", "Logger"):
        from workbench.steering import lightning_adapter

        return getattr(lightning_adapter, name)
    if name == "ClassReport":
        from workbench.steering.class_report import ClassReport

        return ClassReport
    if name in ("TransformersSteering", "LengthPenalty"):
        from workbench.steering import transformers

        return getattr(transformers, name)
    if name == "watch":
        from workbench.steering.watching import watch

        return watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
