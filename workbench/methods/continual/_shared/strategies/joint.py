"""Joint: every batch holds images of all tasks, as if there were no stream. An upper bound."""

from __future__ import annotations

from workbench.methods.continual._shared.strategies.finetune import draws, loss

__all__ = ["MIXED", "draws", "loss"]

MIXED = True
